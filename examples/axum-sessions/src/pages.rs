//! The pages. All external text passes through [`escape`].

/// A session of a user, for display.
pub struct Device {
    pub agent: String,
    pub last_seen: String,
    /// True for the session of this request.
    pub own: bool,
}

pub fn log_in(problem: Option<&str>) -> String {
    let problem = problem
        .map(|problem| format!(r#"<p role="alert">{}</p>"#, escape(problem)))
        .unwrap_or_default();
    page(&format!(
        r#"<h1>Log in</h1>{problem}
<form method="post" action="/login"><label>Name <input name="user" required maxlength="64" autofocus></label>
<button>Log in</button></form>"#
    ))
}

pub fn home(user: &str, devices: &[Device], complete: bool, redis: bool) -> String {
    let rows: String = devices.iter().map(row).collect();
    let more = if complete { "" } else { "<p>Redis is away: there may be more devices.</p>" };
    let state = if redis { "Redis works" } else { "Redis is away, going on in memory" };
    page(&format!(
        r#"<h1>Hello, {user}</h1>
<table><thead><tr><th>Device</th><th>Last seen</th></tr></thead><tbody>
{rows}</tbody></table>{more}
<form method="post" action="/logout"><button>Log out</button></form>
<form method="post" action="/logout-everywhere"><button>Log out everywhere</button></form>
<p id="redis">{state}</p>"#,
        user = escape(user)
    ))
}

fn row(device: &Device) -> String {
    let own = if device.own { " <b>(this one)</b>" } else { "" };
    format!(
        "<tr><td>{}{own}</td><td>{}</td></tr>\n",
        escape(&device.agent),
        escape(&device.last_seen)
    )
}

pub fn unavailable() -> String {
    page(
        "<h1>Try again in a moment</h1><p>Who you are cannot be looked up at the moment. You are not logged out.</p>",
    )
}

fn page(body: &str) -> String {
    format!(
        r#"<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Sessions</title>
<meta name="viewport" content="width=device-width"><style>
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 44rem; margin: 3rem auto; padding: 0 1rem }}
table {{ border-collapse: collapse; width: 100%; margin-bottom: 1.5rem }}
th, td {{ text-align: left; padding: .4rem .6rem; border-bottom: 1px solid #ccc; overflow-wrap: anywhere }}
form {{ display: inline-block; margin-right: .6rem }}
#redis {{ color: #555; margin-top: 2rem }}
</style></head><body>
{body}
</body></html>"#
    )
}

/// Escapes text for HTML, including quoted attributes.
fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
    html
}
