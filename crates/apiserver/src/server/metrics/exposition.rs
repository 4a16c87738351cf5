//! `/metrics`: what was counted, and what is read off when somebody asks.
//!
//! Served as OpenMetrics to whoever asks for it, else in the older text format, which every tool reads.

use std::{collections::HashSet, fmt};

use axum::response::Response;
use essaim_store::{Figures, Spread};
use http::{HeaderMap, StatusCode, header};
use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder, NoLabelSet, text::encode},
    metrics::{
        MetricType,
        counter::ConstCounter,
        family::Family,
        gauge::{ConstGauge, Gauge},
    },
    registry::Registry,
};

use super::{Metrics, process::Process};
use crate::{ApiError, server::service::Service, wire::output};

const OPEN_METRICS: &str = "application/openmetrics-text";

impl Metrics {
    /// All figures of the server, as text.
    pub(in crate::server) fn respond(&self, service: &Service, headers: &HeaderMap) -> Result<Response, ApiError> {
        let mut text = String::new();
        encode(&mut text, &self.registry).map_err(ApiError::internal)?;
        let mut now = Registry::default();
        requests(&mut now, service);
        objects(&mut now, service);
        store(&mut now, service.registry.store.figures(), service.registry.store.health().is_ok());
        process(&mut now, &Process::look(service.now()));
        text.truncate(text.len() - END.len());
        encode(&mut text, &now).map_err(ApiError::internal)?;
        let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        if accept.into_iter().any(|accept| accept.contains(OPEN_METRICS)) {
            return Ok(output::bytes(
                StatusCode::OK,
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
                text,
            ));
        }
        Ok(output::bytes(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", older(&text)))
    }
}

/// The last line of a document.
const END: &str = "# EOF\n";

/// The same in the text format of Prometheus: the type is that of the sample, whose name says `_total`, and nothing ends it.
fn older(text: &str) -> String {
    let counters: HashSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
    let mut older = String::with_capacity(text.len());
    for line in text.lines().filter(|line| *line != END.trim_end() && !line.starts_with("# UNIT ")) {
        let about = |word: &str| {
            let (name, rest) = line.strip_prefix(word)?.split_once(' ')?;
            counters.contains(name).then(|| format!("{word}{name}_total {rest}"))
        };
        older.push_str(&about("# HELP ").or_else(|| about("# TYPE ")).unwrap_or_else(|| line.to_owned()));
        older.push('\n');
    }
    older
}

fn requests(registry: &mut Registry, service: &Service) {
    let inflight = Family::<[(&str, &str); 1], Gauge>::default();
    for (kind, count) in service.gate.under_way() {
        inflight.get_or_create(&[("request_kind", kind)]).set(count.try_into().unwrap_or(i64::MAX));
    }
    let help = "Requests under way, without watches and without those of system:masters";
    registry.register("apiserver_current_inflight_requests", help, inflight);
}

fn objects(registry: &mut Registry, service: &Service) {
    let objects = Family::<[(&str, String); 1], Gauge>::default();
    for resource in service.registry.catalogue.table().storages() {
        let Some(count) = service.registry.store.count(&resource.storage_prefix) else { continue };
        let name = [resource.plural.as_str(), resource.group.as_str()].join(".");
        let name = name.trim_end_matches('.').to_owned();
        objects.get_or_create(&[("resource", name)]).set(count.try_into().unwrap_or(i64::MAX));
    }
    registry.register("apiserver_storage_objects", "Stored objects", objects);
}

fn store(registry: &mut Registry, figures: Figures, writable: bool) {
    let Figures { revision, compacted, objects, changes, batches, commits } = figures;
    let mut gauge = |name: &str, help: &str, value: u64| registry.register(name, help, ConstGauge::new(value));
    gauge("essaim_store_writable", "1 if writes are possible", u64::from(writable));
    gauge("essaim_store_revision", "The newest revision", revision.0);
    gauge("essaim_store_compacted_revision", "The newest revision that watches cannot begin at any more", compacted.0);
    gauge("essaim_store_objects", "Values in the store", objects as u64);
    gauge("essaim_store_log_changes", "Changes that are kept for watches", changes as u64);
    let mut spread = |name: &str, help: &str, spread: Option<Spread>| {
        if let Some(spread) = spread {
            registry.register(name, help, Shown(spread));
        }
    };
    spread("essaim_store_batch_transactions", "Transactions that shared a commit", batches);
    spread("essaim_store_commit_duration_seconds", "Time that a commit took on disk, with its fsync", commits);
}

fn process(registry: &mut Registry, process: &Process) {
    let Process { cpu_seconds, started, resident_bytes, virtual_bytes, open_files, most_files } = *process;
    if let Some(seconds) = cpu_seconds {
        registry.register("process_cpu_seconds", "Processor time, of user and system", ConstCounter::new(seconds));
    }
    if let Some(started) = started {
        registry.register(
            "process_start_time_seconds",
            "When the process began, since the epoch",
            ConstGauge::new(started),
        );
    }
    for (name, help, value) in [
        ("process_resident_memory_bytes", "Memory in use", resident_bytes),
        ("process_virtual_memory_bytes", "Memory that is mapped", virtual_bytes),
        ("process_open_fds", "Open files and sockets", open_files),
        ("process_max_fds", "How many may be open", most_files),
    ] {
        if let Some(value) = value {
            registry.register(name, help, ConstGauge::new(value));
        }
    }
}

/// A histogram that the store filled.
#[derive(Debug)]
struct Shown(Spread);

impl EncodeMetric for Shown {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let Spread { bounds, counts, sum } = &self.0;
        let bounds = bounds.iter().copied().chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(counts.iter().copied()).collect();
        encoder.encode_histogram::<NoLabelSet>(*sum, counts.iter().sum(), &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

#[cfg(test)]
mod tests {
    use super::older;

    #[test]
    fn the_older_format_names_counters_as_their_samples() {
        let open = "# HELP a Things.\n# TYPE a counter\n# UNIT a seconds\na_total{x=\"# TYPE a counter\"} 1\n\
                    # HELP b Others.\n# TYPE b gauge\nb 2\n# EOF\n";
        let expected = "# HELP a_total Things.\n# TYPE a_total counter\na_total{x=\"# TYPE a counter\"} 1\n\
                        # HELP b Others.\n# TYPE b gauge\nb 2\n";
        assert_eq!(older(open), expected);
    }
}
