//! An attempt: sends a request, and reads its reply.

use super::response::{interpret, is_media_type, of_transaction};
use super::transport::{HttpRequest, HttpResponse};
use super::wire::{self, Form, Format};
use super::{Outgoing, Resp2, Rest};
use crate::backend::Reply;
use crate::clock;
use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::observe;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tracing::Instrument;

impl Rest {
    /// Makes one attempt. `number` counts from 1.
    pub(super) async fn attempt(
        &self,
        outgoing: &Outgoing,
        (number, limit): (u32, Duration),
        shape: ReplyShape,
    ) -> Answer {
        let in_resp2 = self.resp2(outgoing).is_some();
        let attempt = observe::Attempt::begin(number);
        attempt.follows(&outgoing.calls);
        let replies = self
            .exchange(outgoing, (number, limit), shape, &attempt)
            .instrument(attempt.span())
            .await;
        attempt.end(replies.as_ref().err());
        Answer { replies, may_lack_bytes: in_resp2 && self.resp2(outgoing).is_none() }
    }

    async fn exchange(
        &self,
        outgoing: &Outgoing,
        (number, limit): (u32, Duration),
        shape: ReplyShape,
        attempt: &observe::Attempt,
    ) -> Result<Vec<Reply>> {
        // The clock is read only for the first reply.
        let until = self.known_format().is_none().then(|| clock::after(limit));
        let resp2 = self.resp2(outgoing);
        let (response, early) = self.send(outgoing, resp2, (number, limit), attempt).await?;
        let is = |wanted| is_media_type(&response.headers, wanted);
        let format = match resp2 {
            None => match self.known_format() {
                Some(format) => format,
                // Once for each server, and large.
                None => {
                    let until = until.unwrap_or_else(|| clock::after(limit));
                    Box::pin(self.find_format(&response.body, shape, until)).await
                }
            },
            Some(_) if is("application/octet-stream") => Format::Resp2,
            Some(resp2) => {
                // A proxy's response proves nothing about the server.
                if response.status == 200
                    && is("application/json")
                    && !resp2.ignored.swap(true, Ordering::Relaxed)
                {
                    tracing::info!("the server does not know RESP2 replies: JSON from now on");
                }
                Format::Checked
            }
        };
        let reply = interpret(&response, early, |body| {
            shape.read(body, Form { format, limits: self.reply_limits })
        });
        match outgoing.atomic {
            true => reply.map_err(of_transaction),
            false => reply,
        }
    }

    /// Sends one request. Returns the response, and whether it came before the whole request had
    /// left.
    async fn send(
        &self,
        outgoing: &Outgoing,
        resp2: Option<&Resp2>,
        (number, limit): (u32, Duration),
        attempt: &observe::Attempt,
    ) -> Result<(HttpResponse, bool)> {
        let mut headers = resp2.map_or_else(|| self.json_headers(), |resp2| resp2.headers.clone());
        own(&mut headers);
        if self.telemetry && number > 1 {
            headers.insert("upstash-telemetry-retry", HeaderValue::from(number - 1));
        }
        let place = self.sync.stamp(&mut headers);
        let request = HttpRequest::new(
            outgoing.url.clone(),
            headers,
            outgoing.body.clone(),
            self.max_reply_bytes,
        );
        let progress = request.progress();
        let sent = self.timers.timeout(limit, self.transport.send(request)).await?;
        let response = sent
            .unwrap_or_else(|| Err(timed_out()))
            .map_err(|error| if progress.give_up() { never_left(error) } else { error })?;
        attempt.answered(response.status);
        self.sync.take(&response.headers, place);
        Ok((response, progress.was_answered_early()))
    }

    /// Returns how the reply to this request is requested: in RESP2, or in JSON.
    pub(super) fn resp2(&self, outgoing: &Outgoing) -> Option<&Resp2> {
        self.resp2.as_ref().filter(|_| outgoing.resp2 && self.knows_resp2())
    }

    /// Returns false once the server has replied in JSON to a request for RESP2.
    pub(super) fn knows_resp2(&self) -> bool {
        self.resp2.as_ref().is_some_and(|resp2| !resp2.ignored.load(Ordering::Relaxed))
    }
}

/// Shape of a reply body.
#[derive(Clone, Copy)]
pub(super) enum ReplyShape {
    /// A single reply.
    One,
    /// An array with this number of replies.
    Many(usize),
}

impl ReplyShape {
    pub(super) fn read(
        self,
        body: &Bytes,
        form: Form,
    ) -> Result<Result<Vec<Reply>>, wire::Unreadable> {
        match self {
            Self::One => Ok(wire::decode_one(body, form)?.map(|value| vec![Ok(value)])),
            Self::Many(count) => wire::decode_many(body, count, form),
        }
    }
}

/// The end of an attempt.
pub(super) struct Answer {
    pub(super) replies: Result<Vec<Reply>>,
    /// The server replied in text to a request for RESP2. The text may have lost bytes; base64,
    /// which the next attempt requests, does not.
    pub(super) may_lack_bytes: bool,
}

/// Returns the reply to a request of one command.
pub(super) fn only(replies: Result<Vec<Reply>>) -> Reply {
    replies?.pop().unwrap_or_else(|| Err(no_reply()))
}

#[cold]
pub(super) fn no_reply() -> Error {
    Error::new(ErrorKind::Decode, "no reply for this command")
}

fn timed_out() -> Error {
    Error::new(ErrorKind::Timeout, "no reply within the attempt's timeout")
}

/// Returns the error of a request that was not sent, and never will be.
#[cold]
fn never_left(error: Error) -> Error {
    match (error.kind(), error.outcome()) {
        (ErrorKind::Timeout, _) => {
            Error::new(ErrorKind::Timeout, "no connection took the request within the timeout")
                .with_outcome(Outcome::NotApplied)
        }
        (_, Outcome::MaybeApplied) => error.with_outcome(Outcome::NotApplied),
        (_, Outcome::NotApplied | Outcome::Applied) => error,
    }
}

/// Gives the token's header separate bytes. The HTTP library clones headers several times per
/// request, and threads would contend for a shared reference count.
pub(super) fn own(headers: &mut HeaderMap) {
    if let Some(token) = headers.get_mut(AUTHORIZATION)
        && let Ok(mut copy) = HeaderValue::from_bytes(token.as_bytes())
    {
        copy.set_sensitive(true);
        *token = copy;
    }
}
