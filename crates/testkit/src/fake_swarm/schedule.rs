//! How tasks get a machine, start, and end, as time goes by.

use std::collections::HashMap;

use essaim_api::names::label;
use serde_json::Value;
use tokio::time::Instant;

use super::world::{Place, State, Task, Wanted, World};

impl World {
    /// Brings every task to where it would be by now.
    pub(super) fn advance(&mut self, now: Instant) {
        self.now = now;
        let mut moved = false;
        for index in 0..self.tasks.len() {
            // A task may go through several states since the last look.
            while self.step(index) {
                moved = true;
            }
        }
        if moved {
            self.take_stock();
        }
    }

    /// Forgets what Swarm forgets, and counts containers.
    pub(super) fn take_stock(&mut self) {
        self.tasks.retain(|task| !(task.wanted == Wanted::Remove && task.state > State::Running));
        let mut containers = HashMap::<&str, usize>::new();
        for task in self.tasks.iter().filter(|task| task.has_container()) {
            *containers.entry(&task.owner).or_default() += 1;
        }
        let most = containers.into_values().max().unwrap_or_default();
        self.most_containers = self.most_containers.max(most);
    }

    /// How many containers of a service run.
    pub(super) fn containers(&self, service: &str) -> usize {
        self.service_id(service).map_or(0, |id| self.containers_of(&id))
    }

    /// The base URL and start of a Jupyter that would answer this path.
    pub(super) fn jupyter_at(&self, path: &str) -> Option<(&str, jiff::Timestamp)> {
        self.tasks.iter().filter(|task| task.state == State::Running).find_map(|task| {
            let base = base_url(&task.spec)?;
            let up = path.starts_with(base) && self.now >= task.since + self.options.jupyter && !self.is_down(task);
            up.then(|| (base, self.calendar(task.since + self.options.jupyter)))
        })
    }

    pub(super) fn new_task(&mut self, service: &str, wanted: Wanted) {
        let (id, index) = (self.new_id(), self.new_index());
        let Some(found) = self.services.get(service) else { return };
        let template = &found.spec["TaskTemplate"];
        let owner = template["ContainerSpec"]["Labels"][label::OWNER_UID].as_str().unwrap_or(service);
        self.tasks.push(Task {
            id,
            index,
            service: service.to_owned(),
            labels: found.spec["Labels"].clone(),
            owner: owner.to_owned(),
            told_exit_code: told_exit_code(template),
            spec: template.clone(),
            publishes: found.spec["EndpointSpec"]["Ports"].as_array().is_some_and(|ports| !ports.is_empty()),
            created: self.now,
            state: State::New,
            since: self.now,
            wanted,
            error: String::new(),
            exit_code: 0,
            node: None,
            address: None,
        });
    }

    /// Has all tasks of a service that may still run stop.
    pub(super) fn end_tasks(&mut self, service: &str, wanted: Wanted) {
        let (now, index) = (self.now, self.new_index());
        for task in self.tasks.iter_mut().filter(|task| task.service == service) {
            task.index = index;
            let ends = matches!(task.wanted, Wanted::Ready | Wanted::Running);
            if ends && task.state <= State::Running {
                task.since = now;
            }
            if ends || wanted == Wanted::Remove {
                task.wanted = wanted;
            }
        }
    }

    fn containers_of(&self, service: &str) -> usize {
        self.tasks.iter().filter(|task| task.service == service && task.has_container()).count()
    }

    fn is_down(&self, task: &Task) -> bool {
        self.nodes.iter().any(|place| place.down && Some(&place.id) == task.node.as_ref())
    }

    /// Moves one task by one state, if its time has come.
    fn step(&mut self, at: usize) -> bool {
        let Some(task) = self.tasks.get(at) else { return false };
        if self.is_down(task) {
            return false;
        }
        let Some(next) = self.next(task) else { return false };
        let index = self.new_index();
        let (runs, service) = (next.state == State::Running, self.tasks.get(at).map(|task| task.service.clone()));
        let address = runs.then(|| format!("10.79.0.{}/20", 2 + index % 250));
        let updating = service.filter(|_| runs).and_then(|id| self.services.get_mut(&id));
        if let Some(service) = updating.filter(|service| service.update == Some("updating")) {
            service.update = Some("completed");
            service.index = index;
        }
        if let Some(task) = self.tasks.get_mut(at) {
            (task.index, task.state, task.since, task.error) = (index, next.state, next.since, next.error);
            task.wanted = next.wanted;
            task.node = task.node.take().or(next.node);
            task.address = task.address.take().or(address);
            task.exit_code = next.exit_code.unwrap_or(task.exit_code);
        }
        true
    }

    /// What becomes of a task next, `None` while nothing does.
    fn next(&self, task: &Task) -> Option<Next> {
        match task.wanted {
            Wanted::Shutdown | Wanted::Remove if task.state < State::Starting => {
                Some(Next::to(State::Shutdown, task.wanted, task.since))
            }
            Wanted::Shutdown | Wanted::Remove if task.state <= State::Running => {
                self.after(task, self.options.stop, State::Shutdown)
            }
            Wanted::Shutdown | Wanted::Remove => None,
            // The predecessor's end opens the way; until then nothing of it may start.
            Wanted::Ready => self.way_is_free_since(task).map(|since| Next::to(task.state, Wanted::Running, since)),
            Wanted::Running => self.next_up(task),
        }
    }

    fn next_up(&self, task: &Task) -> Option<Next> {
        let options = &self.options;
        match task.state {
            State::New if self.now < task.since + options.assign => None,
            State::New | State::Pending => match self.place(task) {
                Ok(place) => {
                    // Who never had to wait was assigned in time, however long ago that is.
                    let since = if task.state == State::New { task.since + options.assign } else { self.now };
                    Some(Next { node: Some(place.id.clone()), ..Next::to(State::Assigned, task.wanted, since) })
                }
                Err(why) if task.state == State::Pending && task.error == why => None,
                Err(why) => Some(Next { error: why, ..Next::to(State::Pending, task.wanted, self.now) }),
            },
            State::Assigned => Some(Next::to(State::Preparing, task.wanted, task.since)),
            State::Preparing => {
                let next = self.after(task, options.prepare, State::Ready)?;
                let Some(why) = self.rejection(task) else { return Some(next) };
                Some(Next { state: State::Rejected, wanted: Wanted::Shutdown, error: why, ..next })
            }
            State::Ready => Some(Next::to(State::Starting, task.wanted, task.since)),
            State::Starting => self.after(task, options.start, State::Running),
            State::Running => task.told_exit_code.map(|code| Next::ended(code, self.now)),
            _ => None,
        }
    }

    fn after(&self, task: &Task, delay: std::time::Duration, state: State) -> Option<Next> {
        let due = task.since + delay;
        (self.now >= due).then(|| Next::to(state, task.wanted, due))
    }

    /// When the last predecessor ended, `None` while one may run.
    fn way_is_free_since(&self, task: &Task) -> Option<Instant> {
        let others = self.tasks.iter().filter(|other| other.service == task.service && other.id != task.id);
        others
            .filter(|other| other.created <= task.created)
            .try_fold(task.since, |since, other| (other.state > State::Running).then(|| since.max(other.since)))
    }

    /// Why the machine cannot start the container.
    fn rejection(&self, task: &Task) -> Option<String> {
        let container = &task.spec["ContainerSpec"];
        let image = container["Image"].as_str().unwrap_or_default();
        if self.options.missing_images.iter().any(|missing| missing == image) {
            return Some(format!("No such image: {image}"));
        }
        let sources = container["Mounts"].as_array().into_iter().flatten().filter_map(|mount| mount["Source"].as_str());
        let missing = |source: &&str| {
            self.options.missing_paths.iter().any(|missing| std::path::Path::new(source).starts_with(missing))
        };
        let source = sources.into_iter().find(missing)?;
        Some(format!("invalid mount config for type \"bind\": bind source path does not exist: {source}"))
    }

    /// The machine with the fewest tasks among those that fit, or Swarm's sentence why none does.
    fn place(&self, task: &Task) -> Result<&Place, String> {
        let (mut down, mut full, mut unfit) = (0, 0, 0);
        let mut fitting = Vec::new();
        for place in &self.nodes {
            if place.down || place.drained {
                down += 1;
            } else if !self.has_memory(place, task) {
                full += 1;
            } else if !constraints(task).all(|constraint| satisfies(place, constraint)) {
                unfit += 1;
            } else {
                fitting.push(place);
            }
        }
        let tasks_on = |place: &&Place| {
            self.tasks
                .iter()
                .filter(|task| task.node.as_ref() == Some(&place.id) && task.state <= State::Running)
                .count()
        };
        fitting.into_iter().min_by_key(tasks_on).ok_or_else(|| no_suitable_node(down, full, unfit))
    }

    fn has_memory(&self, place: &Place, task: &Task) -> bool {
        let reserved = |task: &Task| task.spec["Resources"]["Reservations"]["MemoryBytes"].as_i64().unwrap_or_default();
        let used: i64 = self
            .tasks
            .iter()
            .filter(|other| other.node.as_ref() == Some(&place.id) && other.state <= State::Running)
            .map(reserved)
            .sum();
        used + reserved(task) <= place.node.memory_bytes
    }
}

impl Task {
    fn has_container(&self) -> bool {
        matches!(self.state, State::Starting | State::Running)
    }
}

/// What becomes of a task.
pub(super) struct Next {
    pub(super) state: State,
    pub(super) wanted: Wanted,
    pub(super) since: Instant,
    pub(super) error: String,
    exit_code: Option<i64>,
    node: Option<String>,
}

impl Next {
    fn to(state: State, wanted: Wanted, since: Instant) -> Self {
        let exit_code = (state == State::Shutdown).then_some(143);
        Next { state, wanted, since, error: String::new(), exit_code, node: None }
    }

    /// The container ended by itself.
    pub(super) fn ended(code: i64, since: Instant) -> Self {
        let (state, error) = if code == 0 {
            (State::Complete, String::new())
        } else {
            (State::Failed, format!("task: non-zero exit ({code})"))
        };
        Next { error, exit_code: Some(code), ..Next::to(state, Wanted::Shutdown, since) }
    }
}

/// The only program that the fake can run to its end: `sh -c "exit CODE"`.
fn told_exit_code(spec: &Value) -> Option<i64> {
    let command: Vec<&str> = spec["ContainerSpec"]["Command"].as_array()?.iter().filter_map(Value::as_str).collect();
    let ["sh", "-c", script] = command.as_slice() else { return None };
    script.strip_prefix("exit ")?.parse().ok()
}

/// The base URL that Jupyter was given.
fn base_url(spec: &Value) -> Option<&str> {
    let args = spec["ContainerSpec"]["Args"].as_array().into_iter().flatten();
    args.filter_map(Value::as_str).find_map(|arg| arg.strip_prefix("--ServerApp.base_url="))
}

fn constraints(task: &Task) -> impl Iterator<Item = &str> {
    task.spec["Placement"]["Constraints"].as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn satisfies(place: &Place, constraint: &str) -> bool {
    let (key, value, equal) = match (constraint.split_once("=="), constraint.split_once("!=")) {
        (Some((key, value)), _) => (key.trim(), value.trim(), true),
        (None, Some((key, value))) => (key.trim(), value.trim(), false),
        (None, None) => return false,
    };
    let found = match key {
        "node.hostname" => Some(&place.node.hostname),
        "node.id" => Some(&place.id),
        _ => key.strip_prefix("node.labels.").and_then(|label| place.node.labels.get(label)),
    };
    (found.is_some_and(|found| found == value)) == equal
}

fn no_suitable_node(down: usize, full: usize, unfit: usize) -> String {
    let nodes = |count: usize| if count == 1 { "1 node".to_owned() } else { format!("{count} nodes") };
    let mut parts = [
        (full, format!("insufficient resources on {}", nodes(full))),
        (unfit, format!("scheduling constraints not satisfied on {}", nodes(unfit))),
        (down, format!("{} not available for new tasks", nodes(down))),
    ];
    parts.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    let parts: Vec<String> = parts.into_iter().filter(|(count, _)| *count > 0).map(|(_, part)| part).collect();
    format!("no suitable node ({})", parts.join("; "))
}
