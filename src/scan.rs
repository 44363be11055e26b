//! [`ScanStream`]: all pages of a scan, one request each.

use crate::client::Client;
use crate::command::groups::{HScan, SScan, Scan, ZScan};
use crate::command::{CallOptions, Command, Typed};
use crate::error::Result;
use crate::platform::{BoxFuture, MaybeSend};
use crate::value::FromValue;
use futures_core::Stream;
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Commands that answer a page and the cursor of the next one.
pub trait Paged: sealed::Sealed {}
impl Paged for Scan {}
impl Paged for HScan {}
impl Paged for SScan {}
impl Paged for ZScan {}

mod sealed {
    use super::{HScan, SScan, Scan, ZScan};

    pub trait Sealed {
        /// Which argument the cursor is.
        const CURSOR: usize;
    }

    impl Sealed for Scan {
        const CURSOR: usize = 0;
    }
    impl Sealed for HScan {
        const CURSOR: usize = 1;
    }
    impl Sealed for SScan {
        const CURSOR: usize = 1;
    }
    impl Sealed for ZScan {
        const CURSOR: usize = 1;
    }
}

impl<T: FromValue + MaybeSend, K: Paged> Typed<(u64, Vec<T>), K, Client> {
    /// All items from this cursor on, a request for each page. As Redis's scans are: what is there all the time comes at least
    /// once, and may come twice. Each page has its own retries and deadline.
    ///
    /// ```
    /// # use redis_rest::{Client, backend::memory::MemoryBackend};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> redis_rest::Result<()> {
    /// # let client = Client::from_backend(MemoryBackend::new());
    /// client.mset([("user:1", "Ada"), ("user:2", "Grace"), ("other", "x")]).await?;
    /// let mut users = client.scan(0).pattern("user:*").count(100).stream();
    /// let mut found = 0;
    /// while let Some(key) = users.next().await {
    ///     found += usize::from(key?.starts_with(b"user:"));
    /// }
    /// assert_eq!(found, 2);
    /// # Ok(()) }
    /// ```
    pub fn stream(self) -> ScanStream<T> {
        let (command, options, client) = self.into_parts();
        ScanStream {
            client,
            options,
            cursor: K::CURSOR,
            next: Some(command),
            page: VecDeque::new(),
            request: None,
        }
    }
}

type Page<T> = BoxFuture<'static, Result<(u64, Vec<T>)>>;

/// The items of a scan. A [`Stream`]; [`next`](Self::next) needs no other crate. Ends after the last page, or after an error.
/// Dropping it gives up the page that is on its way, and nothing else.
#[must_use = "a stream does nothing until it is polled"]
pub struct ScanStream<T> {
    client: Client,
    options: CallOptions,
    cursor: usize,
    /// The command of the next page.
    next: Option<Command>,
    page: VecDeque<T>,
    request: Option<Page<T>>,
}

impl<T: FromValue + MaybeSend + Unpin + 'static> ScanStream<T> {
    /// The next item; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<T>> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// All items.
    ///
    /// # Errors
    /// The first error of a page.
    pub async fn collect<C: Default + Extend<T>>(mut self) -> Result<C> {
        let mut all = C::default();
        while let Some(item) = self.next().await {
            all.extend([item?]);
        }
        Ok(all)
    }

    fn request(&self, command: Command) -> Page<T> {
        let (client, options) = (self.client.clone(), self.options.clone());
        Box::pin(
            async move { Ok(FromValue::from_value(client.execute(command, &options).await?)?) },
        )
    }
}

impl<T: FromValue + MaybeSend + Unpin + 'static> Stream for ScanStream<T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(item) = self.page.pop_front() {
                return Poll::Ready(Some(Ok(item)));
            }
            let Some(command) = self.next.clone() else { return Poll::Ready(None) };
            if self.request.is_none() {
                self.request = Some(self.request(command));
            }
            let Some(request) = &mut self.request else { continue };
            let reply = ready!(request.as_mut().poll(context));
            self.request = None;
            match reply {
                Ok((cursor, items)) => {
                    let place = self.cursor;
                    match &mut self.next {
                        Some(command) if cursor != 0 => {
                            command.replace_arg(place, cursor.to_string().as_bytes())
                        }
                        next => *next = None,
                    }
                    self.page = items.into();
                }
                Err(error) => {
                    self.next = None;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }
}

impl<T> fmt::Debug for ScanStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScanStream")
    }
}
