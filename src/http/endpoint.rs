//! Routes with what they take and answer, written once: the router and the `OpenAPI` document are
//! both made of them, so neither can say what the other does not do.

use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::routing::{MethodRouter, delete, get, post};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

use super::Shared;

/// Writes a type's schema into a document and gives the reference to it.
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

fn reference<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

fn whole<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    T::json_schema(generator)
}

/// A part of the path.
pub(super) struct PathPart {
    pub(super) name: &'static str,
    pub(super) says: &'static str,
    pub(super) schema: Value,
}

/// What may come back.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) says: &'static str,
    pub(super) media: &'static str,
    pub(super) schema: Option<SchemaOf>,
}

/// One method of one path.
pub(super) struct Endpoint {
    pub(super) method: &'static str,
    /// As axum writes it: `{*name}` takes the rest of the path.
    pub(super) path: &'static str,
    pub(super) tag: &'static str,
    pub(super) says: &'static str,
    pub(super) parts: Vec<PathPart>,
    pub(super) query: Option<SchemaOf>,
    pub(super) body: Option<SchemaOf>,
    pub(super) replies: Vec<Reply>,
    pub(super) refusals: &'static [u16],
    pub(super) handler: MethodRouter<Shared>,
}

impl Endpoint {
    fn new(method: &'static str, path: &'static str, handler: MethodRouter<Shared>) -> Self {
        Self {
            method,
            path,
            tag: "",
            says: "",
            parts: Vec::new(),
            query: None,
            body: None,
            replies: Vec::new(),
            refusals: &[],
            handler,
        }
    }
    pub(super) fn get<H: Handler<T, Shared>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self::new("GET", path, get(handler))
    }
    pub(super) fn post<H: Handler<T, Shared>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self::new("POST", path, post(handler))
    }
    pub(super) fn delete<H: Handler<T, Shared>, T: 'static>(
        path: &'static str,
        handler: H,
    ) -> Self {
        Self::new("DELETE", path, delete(handler))
    }
    /// What it is for, under which heading.
    pub(super) fn says(mut self, tag: &'static str, says: &'static str) -> Self {
        self.tag = tag;
        self.says = says;
        self
    }
    /// A part of the path: some text.
    pub(super) fn part(self, name: &'static str, says: &'static str) -> Self {
        self.path_part(name, says, json!({ "type": "string", "minLength": 1 }))
    }
    /// A part of the path: a number from 0 to `max`.
    pub(super) fn number(self, name: &'static str, says: &'static str, max: u64) -> Self {
        let schema = json!({ "type": "integer", "minimum": 0, "maximum": max });
        self.path_part(name, says, schema)
    }
    /// A part of the path: one of these.
    pub(super) fn choice(
        self,
        name: &'static str,
        says: &'static str,
        names: &[&'static str],
    ) -> Self {
        self.path_part(name, says, json!({ "type": "string", "enum": names }))
    }
    fn path_part(mut self, name: &'static str, says: &'static str, schema: Value) -> Self {
        self.parts.push(PathPart { name, says, schema });
        self
    }
    pub(super) fn query<T: JsonSchema>(mut self) -> Self {
        self.query = Some(whole::<T>);
        self
    }
    pub(super) fn body<T: JsonSchema>(mut self) -> Self {
        self.body = Some(reference::<T>);
        self
    }
    pub(super) fn answers<T: JsonSchema>(mut self, status: u16, says: &'static str) -> Self {
        self.replies.push(Reply {
            status,
            says,
            media: "application/json",
            schema: Some(reference::<T>),
        });
        self
    }
    pub(super) fn sends(mut self, media: &'static str, says: &'static str) -> Self {
        self.replies.push(Reply {
            status: 200,
            says,
            media,
            schema: None,
        });
        self
    }
    /// Longest body taken, in bytes, where it is not what every route takes.
    pub(super) fn body_bytes(mut self, max: usize) -> Self {
        self.handler = self.handler.layer(DefaultBodyLimit::max(max));
        self
    }
    /// Statuses of problems it may answer, besides those every route may.
    pub(super) fn refuses(mut self, statuses: &'static [u16]) -> Self {
        self.refusals = statuses;
        self
    }
}
