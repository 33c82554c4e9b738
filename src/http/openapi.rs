//! The `OpenAPI` 3.1 document of the routes, made from the routes themselves.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::endpoint::{Endpoint, PathPart};

/// What every error looks like (RFC 9457).
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
#[allow(dead_code, reason = "stands for a schema; Problem writes it")]
struct ProblemDocument {
    /// `urn:skyherd:problem:` and the code.
    r#type: String,
    /// What went wrong, the same for every occurrence.
    title: String,
    /// The HTTP status.
    status: u16,
    /// Stable; programs match on it.
    code: String,
    /// How to mend it.
    hint: String,
    /// What went wrong this time.
    #[serde(default)]
    detail: String,
}

/// The path as `OpenAPI` writes it, where `{*rest}` has no star.
fn template(path: &str) -> String {
    path.replace("{*", "{")
}

fn path_parameter(part: &PathPart) -> Value {
    json!({
        "name": part.name,
        "in": "path",
        "required": true,
        "description": part.says,
        "schema": part.schema,
    })
}

/// A schema without `null`: a parameter that is absent is not written.
fn not_null(mut schema: Value) -> Value {
    let null = json!({ "type": "null" });
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            schema["type"] = only.clone();
        }
    }
    if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
        choices.retain(|choice| *choice != null);
        if let [only] = choices.as_slice() {
            let mut only = only.clone();
            if let (Some(to), Some(from)) = (only.as_object_mut(), schema.as_object()) {
                for (name, value) in from.iter().filter(|(name, _)| *name != "anyOf") {
                    to.insert(name.clone(), value.clone());
                }
            }
            return only;
        }
    }
    schema
}

fn query_parameters(endpoint: &Endpoint, generator: &mut SchemaGenerator) -> Vec<Value> {
    let Some(schema) = endpoint.query else {
        return Vec::new();
    };
    let schema = schema(generator).to_value();
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties
        .map(|(name, schema)| {
            let mut schema = not_null(schema.clone());
            let says = schema
                .as_object_mut()
                .and_then(|fields| fields.remove("description"))
                .unwrap_or_default();
            json!({
                "name": name,
                "in": "query",
                "required": required.contains(&name.as_str()),
                "description": says,
                "schema": schema,
            })
        })
        .collect()
}

/// Every problem's status a route may answer, with what it says in general.
fn refusal(status: u16) -> &'static str {
    match status {
        400 => "The query or body cannot be read.",
        401 => "A bearer token is needed, or the one sent does not count.",
        403 => "The token, topic or origin does not allow this.",
        404 => "There is no such thing.",
        413 => "The body is too large.",
        415 => "The body is not declared as JSON.",
        422 => "The body is JSON, but not what is taken here.",
        _ => "The log cannot take or give records; try again.",
    }
}

fn operation(endpoint: &Endpoint, generator: &mut SchemaGenerator) -> Value {
    let mut parameters: Vec<Value> = endpoint.parts.iter().map(path_parameter).collect();
    parameters.extend(query_parameters(endpoint, generator));
    let mut responses = Map::new();
    for reply in &endpoint.replies {
        let schema = match reply.schema {
            Some(schema) => schema(generator).to_value(),
            None => json!({ "type": "string" }),
        };
        let content = json!({ reply.media: { "schema": schema } });
        responses.insert(
            reply.status.to_string(),
            json!({ "description": reply.says, "content": content }),
        );
    }
    let mut refusals = vec![400, 401, 403, 500, 503];
    refusals.extend(endpoint.refusals);
    refusals.sort_unstable();
    refusals.dedup();
    for status in refusals {
        let status_text = status.to_string();
        if !responses.contains_key(&status_text) {
            let reference = json!({ "$ref": format!("#/components/responses/{status}") });
            responses.insert(status_text, reference);
        }
    }
    let mut operation = json!({
        "tags": [endpoint.tag],
        "summary": endpoint.says,
        "operationId": operation_id(endpoint),
        "parameters": parameters,
        "responses": responses,
    });
    if let Some(body) = endpoint.body {
        let schema = body(generator).to_value();
        operation["requestBody"] = json!({
            "required": true,
            "content": { "application/json": { "schema": schema } },
        });
    }
    operation
}

/// `get_recommendations_id` of `GET /api/v1/recommendations/{id}`.
fn operation_id(endpoint: &Endpoint) -> String {
    let path = endpoint.path.trim_start_matches("/api/v1");
    let words = path.split(|letter: char| !letter.is_ascii_alphanumeric());
    let mut id = endpoint.method.to_lowercase();
    for word in words.filter(|word| !word.is_empty()) {
        id.push('_');
        id.push_str(word);
    }
    id
}

/// A generator whose references point into `components`.
pub(super) fn generator() -> SchemaGenerator {
    SchemaSettings::draft2020_12()
        .with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        })
        .into_generator()
}

/// The document.
pub fn openapi() -> Value {
    let mut generator = generator();
    let mut paths = Map::new();
    let endpoints = super::endpoints();
    for endpoint in &endpoints {
        let operation = operation(endpoint, &mut generator);
        let item = paths
            .entry(template(endpoint.path))
            .or_insert_with(|| json!({}));
        item[endpoint.method.to_lowercase()] = operation;
    }
    let problem = generator.subschema_for::<ProblemDocument>().to_value();
    let mut responses = Map::new();
    for status in [400_u16, 401, 403, 404, 413, 415, 422, 500, 503] {
        let description = match status {
            500 => "The log failed; see the service's log.",
            status => refusal(status),
        };
        responses.insert(
            status.to_string(),
            json!({
                "description": description,
                "content": { "application/problem+json": { "schema": problem } },
            }),
        );
    }
    let schemas = Value::Object(generator.take_definitions(true));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Skyherd",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Findings and recommendations about AWS accounts, and how the agents do that make them.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{}, { "token": [] }],
        "tags": tags(&endpoints),
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Needed for writes once a token is configured, and for reads off loopback.",
                },
            },
            "responses": responses,
            "schemas": schemas,
        },
    })
}

fn tags(endpoints: &[Endpoint]) -> Vec<Value> {
    let mut names: Vec<&str> = Vec::new();
    for endpoint in endpoints {
        if !names.contains(&endpoint.tag) {
            names.push(endpoint.tag);
        }
    }
    names.iter().map(|name| json!({ "name": name })).collect()
}

/// A document as its route answers it.
fn served(document: &'static str) -> Response {
    let form = [(axum::http::header::CONTENT_TYPE, "application/json")];
    (form, document).into_response()
}

pub(super) async fn serve_openapi() -> Response {
    static TEXT: LazyLock<String> = LazyLock::new(|| openapi().to_string());
    served(&TEXT)
}

pub(super) async fn serve_asyncapi() -> Response {
    static TEXT: LazyLock<String> = LazyLock::new(|| super::asyncapi().to_string());
    served(&TEXT)
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get("/api/v1/openapi.json", serve_openapi)
            .says("Documents", "This API as an OpenAPI 3.1 document.")
            .answers::<Map<String, Value>>(200, "The document."),
        Endpoint::get("/api/v1/asyncapi.json", serve_asyncapi)
            .says("Documents", "The topics as an AsyncAPI 3 document.")
            .answers::<Map<String, Value>>(200, "The document."),
    ]
}
