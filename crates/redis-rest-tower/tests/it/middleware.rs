use super::Setup;
use redis_rest::session::SessionStoreExt as _;
use redis_rest_tower::TowerStore;
use std::convert::Infallible;
use std::sync::Arc;
use tower::{Layer as _, Service as _, ServiceExt as _};
use tower_sessions::cookie::time::Duration as Days;
use tower_sessions::{Expiry, Session, SessionManagerLayer, SessionStore as _};

type Request = http::Request<String>;
type Response = http::Response<String>;

/// Changes the session according to the path.
async fn application(
    request: Request,
    behind: Arc<dyn redis_rest::session::SessionStore>,
) -> Result<Response, Infallible> {
    let session = request.extensions().get::<Session>().unwrap().clone();
    let user: Option<String> = session.get("user_id").await.unwrap();
    match request.uri().path() {
        "/cart" => session.insert("cart", ["tea"]).await.unwrap(),
        "/login" => {
            session.cycle_id().await.unwrap();
            session.insert("user_id", "ada").await.unwrap();
        }
        "/login-without-a-new-id" => session.insert("user_id", "ada").await.unwrap(),
        "/logout" => session.flush().await.unwrap(),
        "/overtaken" => {
            session.insert("late", true).await.unwrap();
            behind.delete_user_sessions("ada").await.unwrap();
        }
        "/renewed" => session.cycle_id().await.unwrap(),
        "/overtaken-and-renewed" => {
            behind.delete_user_sessions("ada").await.unwrap();
            session.cycle_id().await.unwrap();
        }
        "/all-but-this-device" => {
            behind.delete_user_sessions("ada").await.unwrap();
            session.clear().await;
            session.insert("user_id", "ada").await.unwrap();
            session.cycle_id().await.unwrap();
        }
        _ => {}
    }
    let cart: Option<Vec<String>> = session.get("cart").await.unwrap();
    Ok(Response::new(format!("{user:?} {cart:?}")))
}

/// A browser that keeps the cookies it receives.
struct Browser<'a> {
    setup: &'a Setup,
    store: TowerStore,
    cookie: Option<String>,
}

impl<'a> Browser<'a> {
    fn new(setup: &'a Setup) -> Self {
        Self { setup, store: setup.store.clone(), cookie: None }
    }

    async fn get(&mut self, path: &str) -> (u16, String) {
        let behind = Arc::clone(&self.setup.behind);
        let layer = SessionManagerLayer::new(self.store.clone())
            .with_expiry(Expiry::OnInactivity(Days::days(1)));
        let mut service = layer
            .layer(tower::service_fn(move |request| application(request, Arc::clone(&behind))));
        let mut request = http::Request::get(path).body(String::new()).unwrap();
        if let Some(cookie) = &self.cookie {
            request.headers_mut().insert("cookie", format!("id={cookie}").parse().unwrap());
        }
        let response = service.ready().await.unwrap().call(request).await.unwrap();
        if let Some(cookie) = response.headers().get("set-cookie") {
            let value =
                cookie.to_str().unwrap().strip_prefix("id=").unwrap().split(';').next().unwrap();
            self.cookie = Some(value.to_owned()).filter(|value| !value.is_empty());
        }
        (response.status().as_u16(), response.into_body())
    }

    async fn is_there(&self, id: &str) -> bool {
        self.store.load(&id.parse().unwrap()).await.unwrap().is_some()
    }
}

async fn a_log_in_gets_a_new_id_and_keeps_the_data(setup: Setup) {
    let mut browser = Browser::new(&setup);
    assert_eq!(browser.get("/").await, (200, "None None".into()));
    assert_eq!(browser.cookie, None, "nothing to keep");
    browser.get("/cart").await;
    let anonymous = browser.cookie.clone().unwrap();
    assert_eq!(browser.get("/login-without-a-new-id").await.0, 500);
    assert_eq!(browser.get("/").await, (200, r#"None Some(["tea"])"#.into()));
    assert_eq!(browser.get("/login").await.0, 200);
    let known = browser.cookie.clone().unwrap();
    assert!(known != anonymous && !browser.is_there(&anonymous).await);
    assert_eq!(browser.get("/").await, (200, r#"Some("ada") Some(["tea"])"#.into()));
    assert_eq!(setup.behind.list_sessions("ada").await.unwrap().sessions[0].id, known);
    setup.ends_in(&known.parse().unwrap(), std::time::Duration::from_secs(24 * 3600)).await;
}

async fn a_log_out_ends_the_session(setup: Setup) {
    let mut browser = Browser::new(&setup);
    browser.get("/login").await;
    let id = browser.cookie.clone().unwrap();
    browser.get("/logout").await;
    assert!(browser.cookie.is_none() && !browser.is_there(&id).await);
    browser.cookie = Some(id);
    assert_eq!(browser.get("/").await, (200, "None None".into()));
    assert!(setup.behind.list_sessions("ada").await.unwrap().sessions.is_empty());
}

async fn request_overtaken_by_a_log_out_restores_nothing(setup: Setup) {
    let (mut laptop, mut phone) = (Browser::new(&setup), Browser::new(&setup));
    laptop.get("/login").await;
    phone.get("/login").await;
    let ids = [laptop.cookie.clone().unwrap(), phone.cookie.clone().unwrap()];
    assert_eq!(setup.behind.list_sessions("ada").await.unwrap().sessions.len(), 2);
    assert_eq!(phone.get("/overtaken").await.0, 200);
    for id in ids {
        assert!(!laptop.is_there(&id).await);
    }
    assert_eq!(laptop.get("/").await, (200, "None None".into()));
    assert_eq!(phone.get("/").await, (200, "None None".into()));
    assert!(setup.behind.list_sessions("ada").await.unwrap().sessions.is_empty());
}

async fn a_renewed_id_stays_logged_out(setup: Setup) {
    let mut browser = Browser::new(&setup);
    for _ in 0..2 {
        browser.get("/login").await;
        assert_eq!(browser.get("/renewed").await.0, 200);
        assert_eq!(browser.get("/").await, (200, r#"Some("ada") None"#.into()));
        assert_eq!(browser.get("/overtaken-and-renewed").await.0, 200);
        assert_eq!(browser.get("/").await, (200, "None None".into()));
        assert!(setup.behind.list_sessions("ada").await.unwrap().sessions.is_empty());
    }
    let mut other = Browser::new(&setup);
    browser.get("/login").await;
    other.get("/login").await;
    assert_eq!(browser.get("/all-but-this-device").await.0, 200);
    assert_eq!(browser.get("/").await, (200, r#"Some("ada") None"#.into()));
    assert_eq!(other.get("/").await, (200, "None None".into()));
}

macro_rules! everywhere {
    ($($place:ident)*) => {$(
        mod $place {
            #[tokio::test]
            async fn a_log_in_gets_a_new_id_and_keeps_the_data() {
                let setup = redis_rest_test_support::redis_test!(crate::$place().await);
                super::a_log_in_gets_a_new_id_and_keeps_the_data(setup).await;
            }

            #[tokio::test]
            async fn a_log_out_ends_the_session() {
                let setup = redis_rest_test_support::redis_test!(crate::$place().await);
                super::a_log_out_ends_the_session(setup).await;
            }

            #[tokio::test]
            async fn a_renewed_id_stays_logged_out() {
                let setup = redis_rest_test_support::redis_test!(crate::$place().await);
                super::a_renewed_id_stays_logged_out(setup).await;
            }

            #[tokio::test]
            async fn request_overtaken_by_a_log_out_restores_nothing() {
                let setup = redis_rest_test_support::redis_test!(crate::$place().await);
                super::request_overtaken_by_a_log_out_restores_nothing(setup).await;
            }
        }
    )*};
}
everywhere!(in_memory rest_over_redis rest_over_memory manager);
