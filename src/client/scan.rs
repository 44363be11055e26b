//! [`ScanStream`]: all pages of a scan, one request each.

use crate::client::Client;
use crate::command::{Call, CallOptions, Command};
use crate::error::Result;
use crate::platform::{BoxFuture, MaybeSend};
use crate::value::FromValue;
use futures_core::Stream;
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Adds the cursor, which is the argument at `$index`, and the stream of all pages to the struct of
/// a scan.
macro_rules! scanning {
    ($kind:ident, $index:literal) => {
        impl<R, X> $kind<R, X> {
            /// Starts at the cursor that the previous page returned. Without it the scan starts at
            /// the beginning.
            pub fn cursor(self, cursor: u64) -> Self {
                Self(self.0.map(|mut command| {
                    command.replace_arg($index, cursor.to_string().as_bytes());
                    command
                }))
            }
        }

        impl<T: $crate::platform::MaybeSend + 'static> $kind<(u64, Vec<T>)> {
            /// Returns all items, with a request for each page. As in Redis's scans, an item that
            /// exists all the time comes at least once, and may come twice. Each page has its own
            /// retries and deadline.
            ///
            /// ```
            /// # async fn run(client: redis_rest::Client) -> redis_rest::Result<()> {
            /// let mut users = client.scan().match_pattern("user:*").count(100).stream();
            /// while let Some(key) = users.next().await {
            ///     println!("{:?}", key?);
            /// }
            /// # Ok(()) }
            /// ```
            pub fn stream(self) -> $crate::client::scan::ScanStream<T> {
                $crate::client::scan::ScanStream::new(self.0, $index)
            }
        }
    };
}
pub(crate) use scanning;

type Page<T> = BoxFuture<'static, Result<(u64, Vec<T>)>>;

/// The items of a scan. A [`Stream`]; [`next`](Self::next) needs no other crate. Ends after the
/// last page, or after an error. Dropping it cancels the page in flight, and nothing else.
#[must_use = "a stream does nothing until it is polled"]
pub struct ScanStream<T> {
    options: CallOptions,
    /// Index of the cursor's argument.
    cursor: usize,
    /// The command of the next page.
    next: Option<(Client, Command)>,
    page: VecDeque<T>,
    request: Option<Page<T>>,
}

impl<T> ScanStream<T> {
    pub(crate) fn new(call: Call<(u64, Vec<T>)>, cursor: usize) -> Self
    where
        T: MaybeSend + 'static,
    {
        let page = VecDeque::new();
        match call.into_parts() {
            Ok((command, options, client)) => {
                Self { options, cursor, next: Some((client, command)), page, request: None }
            }
            Err(error) => {
                let request: Page<T> = Box::pin(std::future::ready(Err(error)));
                let options = CallOptions::default();
                Self { options, cursor, next: None, page, request: Some(request) }
            }
        }
    }
}

impl<T: FromValue + MaybeSend + Unpin + 'static> ScanStream<T> {
    /// Returns the next item; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<T>> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// Returns all items.
    ///
    /// # Errors
    /// Fails with the first error of a page.
    pub async fn collect<C: Default + Extend<T>>(mut self) -> Result<C> {
        let mut all = C::default();
        while let Some(item) = self.next().await {
            all.extend([item?]);
        }
        Ok(all)
    }

    fn request(&self, client: Client, command: Command) -> Page<T> {
        let options = self.options.clone();
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
            if self.request.is_none() {
                let Some((client, command)) = self.next.clone() else { return Poll::Ready(None) };
                self.request = Some(self.request(client, command));
            }
            let Some(request) = &mut self.request else { continue };
            let reply = ready!(request.as_mut().poll(context));
            self.request = None;
            match reply {
                Ok((cursor, items)) => {
                    let place = self.cursor;
                    match &mut self.next {
                        Some((_, command)) if cursor != 0 => {
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
