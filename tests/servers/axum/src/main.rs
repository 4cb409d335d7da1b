//! Plays the answers of a playbook (playbook.py) by axum: hyper on tokio, as text-generation-inference,
//! mistral.rs and vLLM's Rust front end have it.
//!
//!     play-axum PORT PLAYBOOK

use axum::body::{Body, Bytes};
use axum::http::{Request, Response};
use axum::Router;
use futures_util::stream;
use http_body_util::BodyExt;
use std::io::{Error, Result};
use std::path::Path;
use std::time::Duration;

/// What is left of an answer's file.
struct Answer(Bytes);

impl Answer {
    fn line(&mut self) -> String {
        let end = self.0.iter().position(|&c| c == b'\n').expect("a whole line");
        let line = self.0.split_to(end + 1);
        String::from_utf8_lossy(&line[..end]).into_owned()
    }

    async fn piece(mut self) -> Option<(Result<Bytes>, Answer)> {
        let line = self.line();
        let (ms, what) = line.split_once(' ').expect("two words");
        wait(ms).await;
        match what {
            "end" => None,
            "break" => {
                // What hyper has not written when the body fails is lost: let it write.
                tokio::time::sleep(Duration::from_millis(1)).await;
                Some((Err(Error::other("broken off, as asked for")), self))
            }
            size => {
                let piece = self.0.split_to(size.parse().expect("a size"));
                Some((Ok(piece), self))
            }
        }
    }
}

async fn wait(ms: &str) {
    tokio::time::sleep(Duration::from_millis(ms.parse().expect("milliseconds"))).await;
}

async fn play(file: &Path) -> Response<Body> {
    let mut answer = Answer(std::fs::read(file).expect("an answer").into());
    let line = answer.line();
    let head: Vec<&str> = line.splitn(4, ' ').collect();
    wait(head[0]).await;
    let mut response = Response::builder().status(head[1]).header("content-type", head[3]);
    if head[2] != "-1" {
        response = response.header("content-length", head[2]);
    }
    let pieces = stream::unfold(answer, Answer::piece);
    response.body(Body::from_stream(pieces)).expect("a response")
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let playbook = arguments[2].clone();
    let answer = move |request: Request<Body>| async move {
        let is_get = request.method() == "GET";
        match request.into_body().collect().await {
            Ok(_) if is_get => Response::new(Body::from(r#"{"status": "ok"}"#)),
            Ok(body) => play(&Path::new(&playbook).join(body.to_bytes().len().to_string())).await,
            Err(_) => Response::new(Body::empty()), // nobody is there to read it
        }
    };
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{}", arguments[1])).await?;
    axum::serve(listener, Router::new().fallback(answer)).await
}
