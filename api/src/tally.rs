//! Requests counted and timed by method, pattern of the address and status.
//!
//! Promise: what is counted is what the macros of `metrics` would count; the handles are kept, because finding them by their
//! labels costs more than counting. There are as many as there are routes, methods and statuses.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
    time::Duration,
};

use axum::http::{Method, StatusCode};
use foldhash::fast::RandomState;
use metrics::{Counter, Histogram};

/// The counters by the pattern of the address.
#[derive(Default)]
pub(crate) struct Tally(RwLock<HashMap<String, Vec<Counted>, RandomState>>);

struct Counted {
    method: &'static str,
    status: StatusCode,
    requests: Counter,
    seconds: Histogram,
}

impl Tally {
    /// One more request was answered.
    pub(crate) fn count(&self, method: &Method, route: &str, status: StatusCode, took: Duration) {
        let method = known(method);
        let is_known = self.0.read().unwrap_or_else(PoisonError::into_inner).get(route).is_some_and(|all| {
            let found = all.iter().find(|counted| counted.method == method && counted.status == status);
            found.map(|counted| counted.one(took)).is_some()
        });
        if !is_known {
            let counted = Counted::new(method, route, status);
            counted.one(took);
            // Two that come first at once are two handles of the same counter.
            self.0.write().unwrap_or_else(PoisonError::into_inner).entry(route.to_owned()).or_default().push(counted);
        }
    }
}

impl Counted {
    fn new(method: &'static str, route: &str, status: StatusCode) -> Self {
        let of_route = [("method", method.to_owned()), ("route", route.to_owned())];
        let [of_method, in_route] = of_route.clone();
        let of_status = [of_method, in_route, ("status", status.as_u16().to_string())];
        Self {
            method,
            status,
            requests: metrics::counter!("http_requests_total", &of_status),
            seconds: metrics::histogram!("http_request_duration_seconds", &of_route),
        }
    }

    fn one(&self, took: Duration) {
        self.requests.increment(1);
        self.seconds.record(took.as_secs_f64());
    }
}

/// A client can send any word as method; metrics take the usual ones.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    #[test]
    fn requests_are_counted_by_method_route_and_status_and_timed_by_method_and_route() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            let (tally, millisecond) = (Tally::default(), Duration::from_millis(1));
            tally.count(&Method::GET, "/a", StatusCode::OK, millisecond);
            tally.count(&Method::GET, "/a", StatusCode::OK, millisecond);
            tally.count(&Method::GET, "/a", StatusCode::NOT_FOUND, millisecond);
            tally.count(&Method::from_bytes(b"BREW").unwrap(), "/a", StatusCode::OK, millisecond);
        });
        let text = handle.render();
        for line in [
            r#"http_requests_total{method="GET",route="/a",status="200"} 2"#,
            r#"http_requests_total{method="GET",route="/a",status="404"} 1"#,
            r#"http_requests_total{method="other",route="/a",status="200"} 1"#,
            r#"http_request_duration_seconds_count{method="GET",route="/a"} 3"#,
        ] {
            assert!(text.lines().any(|have| have == line), "{line} in {text}");
        }
    }
}
