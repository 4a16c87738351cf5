//! What the fake's own users rely on, beside what the contract suite shows.

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::*;

async fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    // A hung-up connection may come as an error or as an empty answer.
    let _ = stream.read_to_string(&mut answer).await;
    answer
}

fn jupyter(base_url: &str) -> Value {
    json!({
        "Name": "s",
        "TaskTemplate": { "ContainerSpec": { "Image": "i", "Args": [format!("--ServerApp.base_url={base_url}")] } },
        "EndpointSpec": { "Ports": [{ "TargetPort": 8888, "PublishMode": "host" }] },
        "Mode": { "Replicated": { "Replicas": 1 } },
    })
}

#[tokio::test]
async fn jupyter_answers_under_its_base_url_while_its_container_runs() {
    let fake = FakeSwarm::start(FakeOptions::default()).await.unwrap();
    let port = fake.world.now().jupyter_port;
    fake.create_service(jupyter("/user/alice/first/")).unwrap();
    assert_eq!(get(port, "/user/alice/first/api").await, "", "it is not up yet");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(get(port, "/user/alice/first/api").await.starts_with("HTTP/1.1 200"));
    assert!(get(port, "/user/alice/first/api/status?x=1").await.contains("last_activity"));
    assert_eq!(get(port, "/user/alice/second/api").await, "");
    assert!(fake.exit_task("s", 0));
    assert_eq!(get(port, "/user/alice/first/api").await, "");
}

#[tokio::test]
async fn an_update_starts_nothing_while_the_old_container_may_run() {
    let fake =
        FakeSwarm::start(FakeOptions { stop: Duration::from_millis(200), ..FakeOptions::default() }).await.unwrap();
    fake.create_service(jupyter("/a/")).unwrap();
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert!(fake.edit_service("s", |spec| spec["TaskTemplate"]["ForceUpdate"] = json!(1)));
    for _ in 0..30 {
        assert!(fake.containers("s") <= 1);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!((fake.containers("s"), fake.most_containers()), (1, 1));
    assert_eq!(fake.world.now().tasks.len(), 2);
}
