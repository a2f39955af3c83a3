//! A client of that house, and what it is answered.

use axum::{
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode, header},
    response::Response,
};
use http_body_util::BodyExt as _;
use serde_json::Value;

use crate::app::App;

/// Builds requests.
pub(crate) struct Client<'a> {
    pub(crate) app: &'a App,
    pub(crate) token: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
}

impl Client<'_> {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) async fn get(self, path: &str) -> Reply {
        self.send(Method::GET, path, Body::empty()).await
    }

    pub(crate) async fn delete(self, path: &str) -> Reply {
        self.send(Method::DELETE, path, Body::empty()).await
    }

    pub(crate) async fn post(self, path: &str, body: Value) -> Reply {
        self.header("content-type", "application/json").send(Method::POST, path, Body::from(body.to_string())).await
    }

    pub(crate) async fn patch(self, path: &str, body: Value) -> Reply {
        self.header("content-type", "application/json").send(Method::PATCH, path, Body::from(body.to_string())).await
    }

    pub(crate) async fn send(self, method: Method, path: &str, body: Body) -> Reply {
        Reply::read(self.response(method, path, body).await).await
    }

    /// The answer with its body unread: for streams.
    pub(crate) async fn response(self, method: Method, path: &str, body: Body) -> Response {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        self.app.raw(request.body(body).unwrap()).await
    }
}

/// An answer with its body read.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// `null` where it is no JSON.
    pub(crate) body: Value,
}

impl Reply {
    pub(crate) async fn read(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Self { status: parts.status, headers: parts.headers, body: serde_json::from_slice(&bytes).unwrap_or_default() }
    }

    /// A text of the body.
    pub(crate) fn text(&self, name: &str) -> String {
        self.body[name].as_str().unwrap_or_else(|| panic!("no {name} in {:?}", self.body)).to_owned()
    }

    /// Status and code, as most tests of refusals want them.
    pub(crate) fn problem(&self) -> (u16, &str) {
        (self.status.as_u16(), self.body["code"].as_str().unwrap_or("no code"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}
