//! The routes, over a manager without Redis.

use super::*;
use axum::body::Body;
use axum::extract::connect_info::MockConnectInfo;
use axum::http::Request;
use axum::http::header::{CONTENT_TYPE, COOKIE, LOCATION, RETRY_AFTER, SET_COOKIE};
use http_body_util::BodyExt as _;
use redis_rest::{Client, Value};
use tower::ServiceExt as _;

/// A browser that keeps the cookies it receives.
struct Browser {
    app: Router,
    agent: &'static str,
    cookie: Option<String>,
}

impl Browser {
    fn new(app: &Router, agent: &'static str) -> Self {
        Self { app: app.clone(), agent, cookie: None }
    }

    async fn send(&mut self, request: Request<String>) -> Response<Body> {
        let (mut parts, body) = request.into_parts();
        parts.headers.insert(USER_AGENT, self.agent.parse().unwrap());
        if let Some(cookie) = &self.cookie {
            parts.headers.insert(COOKIE, cookie.parse().unwrap());
        }
        let response =
            self.app.clone().oneshot(Request::from_parts(parts, Body::from(body))).await.unwrap();
        if let Some(cookie) = response.headers().get(SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            assert!(cookie.contains("HttpOnly") || cookie.contains("Max-Age=0"));
            self.cookie =
                cookie.split(';').next().filter(|cookie| !cookie.ends_with('=')).map(str::to_owned);
        }
        response
    }

    async fn page(&mut self) -> String {
        let response = self.send(Request::get("/").body(String::new()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::OK);
        String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec())
            .unwrap()
    }

    async fn post(&mut self, path: &str, form: &str) -> StatusCode {
        let request = Request::post(path)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form.to_owned());
        let response = self.send(request.unwrap()).await;
        if response.status() == StatusCode::SEE_OTHER {
            assert_eq!(response.headers()[LOCATION], "/");
        }
        response.status()
    }
}

/// Creates the routes without Redis, except for the script that counts attempts, which returns
/// `attempts`.
fn app_after(attempts: i64) -> Router {
    let client =
        Client::from_fn(move |_| Ok(Value::Array(vec![Value::Int(attempts), Value::Int(41_500)])));
    router(SessionManager::new("", 0), Attempts::new(client), false)
        .layer(MockConnectInfo(SocketAddr::from(([192, 0, 2, 1], 4711))))
}

fn app() -> Router {
    app_after(1)
}

#[tokio::test]
async fn the_sixth_attempt_of_a_minute_has_to_wait() {
    let mut fifth = Browser::new(&app_after(5), "a laptop");
    assert_eq!(fifth.post("/login", "user=ada").await, StatusCode::SEE_OTHER);
    let mut sixth = Browser::new(&app_after(6), "a laptop");
    let request = Request::post("/login")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body("user=ada".to_owned());
    let response = sixth.send(request.unwrap()).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()[RETRY_AFTER], "42");
    assert!(sixth.page().await.contains("Log in"));
}

#[tokio::test]
async fn log_in_list_and_log_out_everywhere() {
    let app = app();
    let (mut laptop, mut phone) = (Browser::new(&app, "a laptop"), Browser::new(&app, "a phone"));
    assert!(laptop.page().await.contains("Log in") && laptop.cookie.is_none());
    assert_eq!(laptop.post("/login", "user=ada").await, StatusCode::SEE_OTHER);
    assert_eq!(phone.post("/login", "user=ada").await, StatusCode::SEE_OTHER);
    let page = laptop.page().await;
    assert!(
        page.contains("Hello, ada") && page.contains("a laptop <b>") && page.contains("a phone<")
    );
    assert_eq!(phone.post("/logout", "").await, StatusCode::SEE_OTHER);
    assert!(phone.page().await.contains("Log in") && !laptop.page().await.contains("a phone"));
    phone.post("/login", "user=ada").await;
    phone.post("/logout-everywhere", "").await;
    for browser in [&mut laptop, &mut phone] {
        assert!(browser.page().await.contains("Log in"));
    }
}

#[tokio::test]
async fn visitors_input_is_escaped() {
    let mut browser = Browser::new(&app(), "<script>\"'&");
    browser.post("/login", "user=%3Cb%3Eada%26%22").await;
    let page = browser.page().await;
    assert!(
        page.contains("Hello, &lt;b&gt;ada&amp;&quot;")
            && page.contains("&lt;script&gt;&quot;&#39;&amp;"),
        "{page}"
    );
    assert!(!page.contains("<script>") && !page.contains("<b>ada"));
    for wrong in ["user=", "user=++", &format!("user={}", "x".repeat(65))] {
        assert_eq!(browser.post("/login", wrong).await, StatusCode::UNPROCESSABLE_ENTITY);
    }
}

#[tokio::test]
async fn old_cookie_is_invalid_after_a_log_in() {
    let mut browser = Browser::new(&app(), "a laptop");
    browser.post("/login", "user=ada").await;
    let old = browser.cookie.clone();
    browser.post("/login", "user=bob").await;
    assert!(browser.cookie != old && browser.page().await.contains("Hello, bob"));
    browser.cookie = old;
    assert!(browser.page().await.contains("Log in"));
}
