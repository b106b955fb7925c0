//! Names that are rebound, and bodies that are kept, against a server of the test's own.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use futures::future::BoxFuture;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::{MediaConfig, MediaError, Medium, counts::Counters, fetch::Fetcher, names::Names};

/// Gives the next list at each lookup, and the last one for ever.
#[derive(Debug)]
struct Rebinding {
    answers: Vec<Vec<&'static str>>,
    port: u16,
    asked: AtomicUsize,
}

impl Names for Rebinding {
    fn look_up<'a>(&'a self, _: &'a str, _: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        let turn = self.asked.fetch_add(1, SeqCst).min(self.answers.len() - 1);
        let addresses = self.answers[turn].iter().map(|a| SocketAddr::new(a.parse::<IpAddr>().unwrap(), self.port));
        let addresses = addresses.collect();
        Box::pin(async move { Ok(addresses) })
    }
}

type Answers = Arc<Mutex<Vec<String>>>;

/// Answers each request with the next head (and `picture` behind a 200); says what it was asked.
async fn serve(heads: Vec<String>) -> (u16, Answers) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Answers::default();
    let seen = Arc::clone(&asked);
    tokio::spawn(async move {
        for head in heads.iter().chain(std::iter::repeat(&heads[heads.len() - 1])) {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.windows(4).any(|w| w == b"\r\n\r\n") {
                if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                    break;
                }
            }
            seen.lock().unwrap().push(String::from_utf8_lossy(&request).to_lowercase());
            let body = if head.starts_with("200") { "picture" } else { "" };
            let text = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
            let _ = stream.write_all(text.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    (port, asked)
}

fn fetcher(config: MediaConfig) -> (Fetcher, Arc<Counters>) {
    let counters = Arc::<Counters>::default();
    let config =
        MediaConfig { connect_timeout: Duration::from_secs(2), fetch_timeout: Duration::from_secs(20), ..config };
    (Fetcher::new(&config, Arc::clone(&counters)).unwrap(), counters)
}

async fn get(fetcher: &Fetcher, url: &str) -> Result<Vec<u8>, MediaError> {
    fetcher.get(url, Medium::Image, 1 << 20).await
}

#[tokio::test]
async fn a_name_that_is_rebound_between_check_and_connection_leads_nowhere() {
    let (port, asked) = serve(vec!["200 OK".into()]).await;
    for inner in [
        "127.0.0.1",
        "169.254.169.254",
        "10.0.0.1",
        "100.64.0.1",
        "::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "fe80::1",
        "0.0.0.0",
    ] {
        // At once, or among public ones, an inner address refuses the whole name.
        for answers in [vec![vec![inner]], vec![vec!["192.0.2.1", inner]], vec![vec!["8.8.8.8", inner]]] {
            let names = Arc::new(Rebinding { answers, port, asked: AtomicUsize::new(0) });
            let fetcher = fetcher(MediaConfig::default()).0.with_names(names);
            let error = get(&fetcher, "http://pictures.example/a.png").await.unwrap_err();
            assert_eq!(error, MediaError::InvalidUrl("the host may not be fetched from."), "{inner}");
            assert!(!error.to_string().contains(inner));
        }
    }
    assert!(asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_name_is_looked_up_once_for_each_request() {
    let (port, _) = serve(vec!["302 Found\r\nLocation: /again".into(), "200 OK".into()]).await;
    // The third answer would be used if anybody looked up behind the guard's back.
    let answers = vec![vec!["127.0.0.1"], vec!["127.0.0.1"], vec!["203.0.113.9"]];
    let names = Arc::new(Rebinding { answers, port, asked: AtomicUsize::new(0) });
    let config = MediaConfig { allow_private_hosts: vec!["127.0.0.1/32".into()], ..MediaConfig::default() };
    let fetcher = fetcher(config).0.with_names(Arc::clone(&names) as Arc<dyn Names>);
    assert_eq!(get(&fetcher, "http://pictures.example/a.png").await, Ok(b"picture".to_vec()));
    assert_eq!(names.asked.load(SeqCst), 2);
}

#[tokio::test]
async fn a_redirect_is_looked_up_and_checked_again() {
    let (port, asked) = serve(vec!["302 Found\r\nLocation: http://pictures.example/b".into(), "200 OK".into()]).await;
    let answers = vec![vec!["127.0.0.1"], vec!["169.254.169.254"]];
    let names = Arc::new(Rebinding { answers, port, asked: AtomicUsize::new(0) });
    let config = MediaConfig { allow_private_hosts: vec!["127.0.0.1/32".into()], ..MediaConfig::default() };
    let fetcher = fetcher(config).0.with_names(names);
    let error = get(&fetcher, "http://pictures.example/a").await.unwrap_err();
    assert_eq!(error, MediaError::InvalidUrl("the host may not be fetched from."));
    assert_eq!(asked.lock().unwrap().len(), 1);
}

async fn kept(heads: &[&str], gets: usize) -> (Vec<String>, crate::Counts) {
    let (port, asked) = serve(heads.iter().map(|h| (*h).to_owned()).collect()).await;
    let config = MediaConfig { allow_private_hosts: vec![format!("127.0.0.1:{port}")], ..MediaConfig::default() };
    let (fetcher, counters) = fetcher(config);
    for _ in 0..gets {
        assert_eq!(
            get(&fetcher, &format!("http://127.0.0.1:{port}/a.png")).await,
            Ok(b"picture".to_vec()),
            "{heads:?}"
        );
    }
    let asked = asked.lock().unwrap().clone();
    (asked, counters.read(0))
}

#[tokio::test]
async fn what_may_be_kept_is_fetched_once() {
    for head in ["200 OK\r\nCache-Control: max-age=600", "200 OK\r\nCache-Control: public, s-maxage=600"] {
        let (asked, counts) = kept(&[head], 3).await;
        assert_eq!((asked.len(), counts.fetches, counts.fetch_hits), (1, 1, 2), "{head}");
    }
}

#[tokio::test]
async fn an_age_beyond_all_counting_is_stale() {
    let head = "200 OK\r\nCache-Control: max-age=600\r\nETag: \"one\"\r\nAge: 18446744073709551615";
    let (port, asked) = serve(vec![head.into(), "304 Not Modified".into()]).await;
    let config = MediaConfig { allow_private_hosts: vec![format!("127.0.0.1:{port}")], ..MediaConfig::default() };
    let (fetcher, url) = (fetcher(config).0, format!("http://127.0.0.1:{port}/a.png"));
    for _ in 0..2 {
        assert_eq!(get(&fetcher, &url).await, Ok(b"picture".to_vec()));
        // By then it is older still.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
    }
    assert_eq!(asked.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn what_may_not_be_kept_is_fetched_again() {
    for head in [
        "200 OK\r\nCache-Control: no-store",
        "200 OK\r\nCache-Control: private, max-age=600",
        "200 OK\r\nCache-Control: max-age=0",
        "200 OK\r\nCache-Control: max-age=600\r\nVary: *",
        "200 OK",
    ] {
        let (asked, counts) = kept(&[head], 3).await;
        assert_eq!((asked.len(), counts.fetch_hits, counts.confirmed), (3, 0, 0), "{head}");
    }
}

#[tokio::test]
async fn what_is_stale_is_asked_about_and_not_sent_again() {
    let first = "200 OK\r\nCache-Control: no-cache\r\nETag: \"one\"";
    let (asked, counts) = kept(&[first, "304 Not Modified\r\nETag: \"one\"\r\nCache-Control: max-age=600"], 4).await;
    assert_eq!(asked.len(), 2);
    assert!(!asked[0].contains("if-none-match") && asked[1].contains("if-none-match: \"one\""), "{asked:?}");
    assert_eq!((counts.confirmed, counts.fetch_hits), (1, 2));
    let dated = "200 OK\r\nCache-Control: no-cache\r\nLast-Modified: Tue, 24 Nov 2020 10:00:00 GMT";
    let same = "304 Not Modified\r\nLast-Modified: Tue, 24 Nov 2020 10:00:00 GMT";
    let (asked, counts) = kept(&[dated, same], 3).await;
    assert!(asked[1].contains("if-modified-since: tue, 24 nov 2020"), "{asked:?}");
    assert_eq!((asked.len(), counts.confirmed), (3, 2));
    // A server that does not repeat the validator means the one that it was asked with.
    for told in [first, dated] {
        let (asked, counts) = kept(&[told, "304 Not Modified"], 3).await;
        assert_eq!((asked.len(), counts.confirmed), (3, 2), "{told}");
    }
    // One that names another is asked again for the whole.
    let (asked, counts) =
        kept(&[first, "304 Not Modified\r\nETag: \"two\"", "200 OK\r\nCache-Control: max-age=600"], 3).await;
    assert!(asked[1].contains("if-none-match") && !asked[2].contains("if-none-match"), "{asked:?}");
    assert_eq!((asked.len(), counts.confirmed, counts.fetch_hits), (3, 0, 1));
    // Another picture by now.
    let (asked, counts) = kept(&[first, "200 OK\r\nETag: \"two\"\r\nCache-Control: max-age=600"], 3).await;
    assert_eq!((asked.len(), counts.confirmed, counts.fetch_hits), (2, 0, 1));
}

#[tokio::test]
async fn a_kept_body_does_not_pass_the_guard() {
    let (port, _) = serve(vec!["200 OK\r\nCache-Control: max-age=600".into()]).await;
    let config = MediaConfig { allow_private_hosts: vec![format!("127.0.0.1:{port}")], ..MediaConfig::default() };
    let fetcher = fetcher(config).0;
    let url = format!("http://127.0.0.1:{port}/a.png");
    assert!(get(&fetcher, &url).await.is_ok());
    assert!(get(&fetcher, &format!("http://user@127.0.0.1:{port}/a.png")).await.is_err());
    // A smaller limit than the body is kept to as well.
    assert!(fetcher.get(&url, Medium::Image, 3).await.is_err());
}
