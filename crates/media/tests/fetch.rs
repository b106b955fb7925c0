//! Fetching over HTTP from a server that behaves badly on purpose.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    io::Cursor,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use image::{ImageFormat, RgbImage};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::sleep,
};
use vlgate_media::{ImageSource, MediaConfig, MediaError, Picture, Resolver, Sizing, VisionSpec};

fn png() -> Vec<u8> {
    let mut out = Vec::new();
    RgbImage::from_pixel(40, 30, image::Rgb([200, 10, 10]))
        .write_to(&mut Cursor::new(&mut out), ImageFormat::Png)
        .unwrap();
    out
}

/// Requests at work now, and the most there ever were.
#[derive(Default)]
struct Crowd {
    now: AtomicUsize,
    most: AtomicUsize,
}

async fn answer(mut stream: TcpStream, at: SocketAddr, crowd: Arc<Crowd>) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|w| w == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
    let redirect = |to: &str| format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n").into_bytes();
    let whole = |status: &str, kind: &str, body: &[u8]| {
        let mut out =
            format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
        out.extend_from_slice(body);
        out
    };
    let reply = match path.as_str() {
        "/good.png" => whole("200 OK", "text/plain", &png()),
        "/no-length" => [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec(), png()].concat(),
        "/redirect" => redirect("/good.png"),
        "/metadata" => redirect("http://169.254.169.254/latest/meta-data/"),
        "/other-port" => redirect(&format!("http://127.0.0.1:{}/good.png", at.port() ^ 1)),
        "/file" => redirect("file:///etc/passwd"),
        "/loop" => redirect("/loop"),
        "/html" => whole("200 OK", "image/png", b"<!DOCTYPE html><html><body>login</body></html>"),
        "/empty" => whole("200 OK", "image/png", b""),
        "/missing" => whole("404 Not Found", "image/png", &png()),
        "/broken" => whole("500 Internal Server Error", "text/plain", b"secret stack trace"),
        "/short" => [b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n".to_vec(), png()].concat(),
        "/boast" => b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nx".to_vec(),
        "/nonsense" => b"220 ftp ready\r\n".to_vec(),
        "/endless" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
            loop {
                stream.write_all(&[b"4000\r\n".as_slice(), &[7; 0x4000], b"\r\n"].concat()).await?;
            }
        }
        "/drip" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n").await?;
            loop {
                stream.write_all(b"x").await?;
                sleep(Duration::from_millis(50)).await;
            }
        }
        "/silent" => {
            sleep(Duration::from_secs(60)).await;
            Vec::new()
        }
        "/crowd" => {
            crowd.most.fetch_max(crowd.now.fetch_add(1, SeqCst) + 1, SeqCst);
            sleep(Duration::from_millis(60)).await;
            crowd.now.fetch_sub(1, SeqCst);
            whole("200 OK", "image/png", &png())
        }
        _ => Vec::new(),
    };
    stream.write_all(&reply).await?;
    stream.shutdown().await
}

async fn serve() -> (SocketAddr, Arc<Crowd>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (at, crowd) = (listener.local_addr().unwrap(), Arc::<Crowd>::default());
    let shared = Arc::clone(&crowd);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, at, Arc::clone(&shared)));
        }
    });
    (at, crowd)
}

fn resolver(allow: &[String]) -> Resolver {
    let config = MediaConfig {
        image_bytes: 1 << 20,
        fetch_timeout: Duration::from_millis(1500),
        fetches_per_host: 2,
        allow_private_hosts: allow.to_vec(),
        ..MediaConfig::default()
    };
    Resolver::new(config).unwrap()
}

async fn get(resolver: &Resolver, url: &str) -> Result<Picture, MediaError> {
    resolver.image(ImageSource { url }, &VisionSpec::QWEN3_VL, &Sizing::default()).await.map(|r| r.what)
}

#[tokio::test]
async fn good_answers() {
    let (at, _) = serve().await;
    let by_address = resolver(&[at.to_string()]);
    for path in ["good.png", "no-length", "redirect"] {
        let picture = get(&by_address, &format!("http://{at}/{path}")).await.unwrap();
        assert_eq!((picture.width, picture.height), (320, 224), "{path}");
    }
    let by_name = resolver(&[format!("localhost:{}", at.port())]);
    assert!(get(&by_name, &format!("http://LOCALHOST:{}/good.png", at.port())).await.is_ok());
    let by_net = resolver(&["127.0.0.0/8".to_owned()]);
    assert!(get(&by_net, &format!("http://{at}/good.png")).await.is_ok());
}

#[tokio::test]
async fn bad_answers() {
    let (at, _) = serve().await;
    let resolver = resolver(&[at.to_string()]);
    for (path, code) in [
        ("metadata", "invalid_image_url"),
        ("other-port", "invalid_image_url"),
        ("file", "invalid_image_url"),
        ("loop", "failed_to_download_image"),
        ("html", "invalid_image_format"),
        ("empty", "empty_image_file"),
        ("missing", "failed_to_download_image"),
        ("broken", "failed_to_download_image"),
        ("short", "failed_to_download_image"),
        ("boast", "invalid_image"),
        ("nonsense", "failed_to_download_image"),
        ("endless", "invalid_image"),
        ("drip", "invalid_image_url"),
        ("silent", "invalid_image_url"),
        ("hang-up", "failed_to_download_image"),
    ] {
        let began = Instant::now();
        let error = get(&resolver, &format!("http://{at}/{path}")).await.expect_err(path);
        assert_eq!((error.code().as_str(), error.status()), (code, 400), "{path}: {error}");
        assert!(began.elapsed() < Duration::from_secs(4), "{path} took {:?}", began.elapsed());
        let said = error.to_string();
        assert!(!said.contains("169.254") && !said.contains("secret") && !said.contains("error"), "{said}");
    }
    let error = get(&resolver, &format!("http://{at}/silent")).await.unwrap_err();
    assert_eq!(error.to_string(), format!("Timeout while downloading http://{at}/silent."));
}

#[tokio::test]
async fn nothing_private_is_reached_that_is_not_listed() {
    let (at, _) = serve().await;
    let strict = resolver(&[]);
    let name = resolver(&[at.to_string()]);
    for (resolver, url) in [
        (&strict, format!("http://{at}/good.png")),
        (&strict, "http://localhost/good.png".to_owned()),
        (&strict, "http://[::ffff:127.0.0.1]/".to_owned()),
        (&name, format!("http://localhost:{}/good.png", at.port())),
        (&name, format!("http://user:word@{at}/good.png")),
    ] {
        let error = get(resolver, &url).await.expect_err(&url);
        assert_eq!(error.code(), "invalid_image_url", "{url}: {error}");
    }
    for url in
        ["", "x", "data", "ftp://example.com/a.png", "javascript:alert(1)", "http://", "/etc/passwd", "C:\\a.png", "é€"]
    {
        assert_eq!(get(&strict, url).await.expect_err(url).code(), "invalid_image_url", "{url}");
    }
}

#[tokio::test]
async fn one_host_is_not_crowded() {
    let (at, crowd) = serve().await;
    let resolver = resolver(&[at.to_string()]);
    let url = format!("http://{at}/crowd");
    let all = futures::future::join_all((0..6).map(|_| get(&resolver, &url))).await;
    assert!(all.iter().all(Result::is_ok), "{all:?}");
    assert_eq!(crowd.most.load(SeqCst), 2);
}
