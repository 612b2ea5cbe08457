//! A secret that a ring is read from: the one operation of Secrets Manager that signing takes.

use std::sync::{Arc, Mutex};

use axum::{Json, Router, extract::State, http::HeaderMap, routing::post};
use serde_json::{Value, json};
use shared::{key::SigningKeys, key_setting::KeySetting};
use tokio::net::TcpListener;

use crate::{
    instance::Instance,
    table::{NOW, Table},
};

/// A running secret.
pub struct Secret {
    pub url: String,
    content: Arc<Mutex<Content>>,
    server: tokio::task::JoinHandle<()>,
}

struct Content {
    ring: String,
    reads: usize,
}

impl Secret {
    /// A secret that holds this ring.
    pub async fn holding(ring: &SigningKeys) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let content = Arc::new(Mutex::new(Content { ring: ring.to_private_jwks().to_string(), reads: 0 }));
        let router = Router::new().route("/", post(read)).with_state(Arc::clone(&content));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, content, server }
    }

    /// An instance whose ring is the secret's.
    pub fn instance(&self) -> Instance {
        self.instance_on(Table::create())
    }

    /// Another instance on the same table, which has read nothing yet.
    pub fn beside(&self, instance: &Instance) -> Instance {
        self.instance_on(instance.table.clone())
    }

    fn instance_on(&self, table: Table) -> Instance {
        let store = table.store.clone();
        Instance::with_ring(table, store, KeySetting::Secret("ring".to_owned()), &self.url)
    }

    /// Puts another ring in the place of the one that is there.
    pub fn put(&self, ring: &SigningKeys) {
        self.content.lock().unwrap().ring = ring.to_private_jwks().to_string();
    }

    /// How often the secret was read.
    pub fn reads(&self) -> usize {
        self.content.lock().unwrap().reads
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn read(State(content): State<Arc<Mutex<Content>>>, headers: HeaderMap) -> Json<Value> {
    assert_eq!(headers["x-amz-target"], "secretsmanager.GetSecretValue");
    let mut content = content.lock().unwrap();
    content.reads += 1;
    Json(json!({ "Name": "ring", "CreatedDate": NOW.0, "SecretString": content.ring }))
}
