//! The example for whoever uses the crate does what it says.

#[path = "../../examples/in_process.rs"]
#[expect(dead_code, reason = "its main is for the command line")]
mod in_process;

#[tokio::test]
async fn a_server_in_a_program_is_created_applied_to_and_watched() {
    let mut said = Vec::new();
    in_process::tour(&mut said).await.unwrap();
    let said = String::from_utf8(said).unwrap();
    assert_eq!(said, "created one: red\napplied one: green, generation Some(2)\nwatched one: green\n");
}
