//! Child processes that read strangers' bytes: no shell, no input but a file, an almost empty environment, limits on
//! memory, processor time, wall time and output; killed when the request that waits for them is gone.

use std::{ffi::OsString, path::Path, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
    time::{Instant, timeout_at},
};

use crate::MediaError;

/// What a child may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of address space.
    pub memory: u64,
    /// Processor time of all its threads together.
    pub cpu: Duration,
}

/// A child that is done.
#[derive(Debug)]
pub struct Done {
    /// Whether it says that all went well.
    pub ok: bool,
    /// What it wrote.
    pub out: Vec<u8>,
    /// The beginning of what it complained about. For judging, never for a client.
    pub complaints: String,
}

/// Complaints that are kept.
const COMPLAINTS: u64 = 8 << 10;

/// Starts `program`; dropping the child kills it.
///
/// # Errors
/// [`MediaError::Busy`] when no process can be had.
pub fn start(program: &Path, arguments: &[OsString], limits: Limits) -> Result<Child, MediaError> {
    start_with(program, arguments, Stdio::null(), limits)
}

/// The same with an input.
///
/// # Errors
/// As [`start`].
pub fn start_with(program: &Path, arguments: &[OsString], input: Stdio, limits: Limits) -> Result<Child, MediaError> {
    let mut command = bound(program, limits);
    command
        .args(arguments)
        .env_clear()
        .envs(
            ["PATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR"].iter().filter_map(|n| Some((n, std::env::var_os(n)?))),
        )
        .env("LC_ALL", "C.UTF-8")
        .current_dir(std::env::temp_dir())
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command.spawn().map_err(|error| {
        tracing::warn!("{} cannot be started: {error}", program.display());
        MediaError::Busy
    })
}

/// The program behind a shell that limits itself and becomes it: so the limits hold from its first instruction on. Setting them
/// between fork and exec takes unsafe code, and from here, once it runs, they come too late. It costs about a millisecond.
#[cfg(unix)]
fn bound(program: &Path, limits: Limits) -> Command {
    let (cpu, kib) = (limits.cpu.as_secs().max(1), limits.memory >> 10);
    // macOS has no limit of address space.
    let memory = if cfg!(target_os = "macos") { String::new() } else { format!("ulimit -v {kib} && ") };
    let script = format!("ulimit -c 0 && ulimit -f 0 && ulimit -t {cpu} && {memory}exec \"$@\"");
    let mut command = Command::new("/bin/sh");
    // What follows the script is `$0`, then `$1`, the program itself.
    command.arg("-c").arg(script).arg("sh").arg(program);
    command
}

/// Elsewhere wall time and output bound it.
#[cfg(not(unix))]
fn bound(program: &Path, _: Limits) -> Command {
    Command::new(program)
}

/// Runs `program` to its end and takes at most `most` bytes of what it writes.
///
/// # Errors
/// [`MediaError::TooSlow`] at the deadline, or beyond `most` bytes; [`MediaError::Busy`].
pub async fn run(
    program: &Path,
    arguments: &[OsString],
    limits: Limits,
    most: usize,
    deadline: Instant,
) -> Result<Done, MediaError> {
    finish(start(program, arguments, limits)?, most, deadline).await
}

/// Sees a child to its end, as [`run`] does.
///
/// # Errors
/// [`MediaError::TooSlow`].
pub async fn finish(mut child: Child, most: usize, deadline: Instant) -> Result<Done, MediaError> {
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let work = async {
        let (out, complaints) = tokio::join!(read(out, most as u64 + 1), complaints(err));
        if out.len() > most {
            return Err(MediaError::TooSlow);
        }
        let ok = child.wait().await.is_ok_and(|status| status.success());
        Ok(Done { ok, out, complaints })
    };
    timeout_at(deadline, work).await.unwrap_or(Err(MediaError::TooSlow))
}

/// Up to `most` bytes.
async fn read(from: Option<impl AsyncRead + Unpin>, most: u64) -> Vec<u8> {
    let mut out = Vec::new();
    if let Some(from) = from {
        let _ = from.take(most).read_to_end(&mut out).await;
    }
    out
}

/// Writes to the log what a child complains about, until it ends; nobody waits for it.
pub fn log_complaints(program: &'static str, from: Option<impl AsyncRead + Unpin + Send + 'static>) {
    tokio::spawn(async move {
        let text = complaints(from).await;
        if !text.is_empty() {
            tracing::debug!("{program}: {text}");
        }
    });
}

/// The beginning of them; the rest is read and forgotten, so that the child is not held up.
async fn complaints(from: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut from) = from else { return String::new() };
    let mut out = Vec::new();
    let _ = (&mut from).take(COMPLAINTS).read_to_end(&mut out).await;
    let _ = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { memory: 256 << 20, cpu: Duration::from_secs(20) };

    async fn shell(script: &str, most: usize, seconds: u64, limits: Limits) -> Result<Done, MediaError> {
        let arguments = [OsString::from("-c"), script.into()];
        let deadline = Instant::now() + Duration::from_secs(seconds);
        run(Path::new("/bin/sh"), &arguments, limits, most, deadline).await
    }

    #[tokio::test]
    async fn what_it_writes_and_how_it_ends_is_told() {
        let done = shell("echo out; echo err >&2; exit 3", 10, 60, LIMITS).await.unwrap();
        assert_eq!((done.ok, done.out.as_slice(), done.complaints.as_str()), (false, &b"out\n"[..], "err\n"));
        assert!(shell("true", 10, 60, LIMITS).await.unwrap().ok);
    }

    #[tokio::test]
    async fn too_long_and_too_much_are_cut_off() {
        let began = Instant::now();
        assert_eq!(shell("sleep 600", 10, 1, LIMITS).await.unwrap_err(), MediaError::TooSlow);
        assert_eq!(shell("yes", 1000, 600, LIMITS).await.unwrap_err(), MediaError::TooSlow);
        assert!(began.elapsed() < Duration::from_secs(300));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn limits_hold_and_secrets_stay_here() {
        // The first thing that it does is to tell them; under the old way, of setting them from here, it was often faster.
        for _ in 0..20 {
            let deadline = Instant::now() + Duration::from_secs(60);
            let limits = ["/proc/self/limits".into()];
            let done = run(Path::new("/bin/cat"), &limits, LIMITS, 10_000, deadline).await.unwrap();
            let told = String::from_utf8(done.out).unwrap();
            for (name, most) in [
                ("Max address space", "268435456"),
                ("Max cpu time", "20"),
                ("Max file size", "0"),
                ("Max core file size", "0"),
            ] {
                let line = told.lines().find_map(|line| line.strip_prefix(name)).unwrap();
                let numbers: Vec<&str> = line.split_whitespace().take(2).collect();
                assert_eq!(numbers, [most, most], "{name}");
            }
        }
        let busy = Limits { cpu: Duration::from_secs(1), ..LIMITS };
        assert!(!shell("while :; do :; done", 10, 300, busy).await.unwrap().ok);
        let done = shell("env", 10_000, 60, LIMITS).await.unwrap();
        let names = String::from_utf8(done.out).unwrap();
        assert!(!names.contains("HOME=") && !names.contains("CARGO"), "{names}");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_request_that_is_gone_takes_its_child_with_it() {
        let child = start(Path::new("/bin/sleep"), &["600".into()], LIMITS).unwrap();
        let path = format!("/proc/{}", child.id().unwrap());
        assert!(Path::new(&path).exists());
        drop(child);
        let began = Instant::now();
        // A zombie at the most, until it is reaped.
        let alive = || {
            let stat = std::fs::read_to_string(format!("{path}/stat")).unwrap_or_default();
            !stat.is_empty() && !stat.contains(") Z ")
        };
        while alive() && began.elapsed() < Duration::from_secs(60) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(!alive());
    }
}
