//! vlgate: an OpenAI-compatible gateway that serves Qwen3-VL from your own machine.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod bench;
mod cpu;
mod data;
mod hub;
mod runtime;
mod serve;
mod settings;

use std::{io::Write, process::ExitCode};

use clap::{Parser, Subcommand};
use settings::{ServeFlags, Settings};
use tracing_subscriber::EnvFilter;

/// OpenAI-compatible gateway that serves Qwen3-VL. `vlgate` alone is `vlgate serve`.
#[derive(Debug, Parser)]
#[command(name = "vlgate", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeFlags,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve a model over HTTP
    Serve(ServeFlags),
    /// Measure a model: prefill, decode, many clients, pictures
    Bench(bench::BenchFlags),
}

fn main() -> ExitCode {
    // First of all, and in functions of their own: nothing before this may use what the CPU might lack.
    let missing = cpu::missing();
    if !missing.is_empty() {
        return old_cpu(&missing);
    }
    run()
}

#[inline(never)]
fn old_cpu(missing: &[&str]) -> ExitCode {
    let mut err = std::io::stderr();
    let _ = err.write_all(b"vlgate: this binary was built for x86-64-v3 CPUs (2013 and later); this CPU lacks ");
    let _ = err.write_all(missing.join(", ").as_bytes());
    let _ = err.write_all(b". Build it for this machine: remove target-cpu from .cargo/config.toml.\n");
    ExitCode::from(3)
}

#[inline(never)]
fn run() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_env("VLGATE_LOG")
        .unwrap_or_else(|_| EnvFilter::new("warn,vlgate=info,vlgate_server=info,vlgate_engine=info,vlgate_media=info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let command = cli.command.unwrap_or(Command::Serve(cli.serve));
    match start(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(command: Command) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match command {
        Command::Serve(flags) => runtime.block_on(serve::serve(Settings::read(flags)?)),
        Command::Bench(flags) => runtime.block_on(bench::bench(flags)),
    }
}
