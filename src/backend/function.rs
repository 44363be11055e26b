//! A function as a backend: for tests of code that takes a client.

use super::{Backend, Reply};
use crate::command::{CallOptions, Command};
use crate::error::Result;
use crate::platform::{BoxFuture, MaybeSend};

/// Replies to every command by a function.
pub(crate) struct FunctionBackend<F>(pub(crate) F);

impl<F: Fn(&Command) -> Reply + MaybeSend + 'static> Backend for FunctionBackend<F> {
    fn execute<'a>(&'a self, command: &'a Command, _: &'a CallOptions) -> BoxFuture<'a, Reply> {
        Box::pin(async { (self.0)(command) })
    }

    fn pipeline<'a>(
        &'a self,
        commands: &'a [Command],
        _: &'a CallOptions,
    ) -> BoxFuture<'a, Vec<Reply>> {
        Box::pin(async { commands.iter().map(&self.0).collect() })
    }

    fn transaction<'a>(
        &'a self,
        commands: &'a [Command],
        _: &'a CallOptions,
    ) -> BoxFuture<'a, Result<Vec<Reply>>> {
        Box::pin(async { Ok(commands.iter().map(&self.0).collect()) })
    }
}
