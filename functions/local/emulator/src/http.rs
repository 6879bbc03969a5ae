//! As much of HTTP/1.1 as a Lambda runtime speaks, without delay: `tiny_http` leaves Nagle's algorithm on, and
//! an invocation took 44 ms through it.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// A connection of a process.
pub struct Connection(BufReader<TcpStream>);

/// A request.
pub struct Request {
    pub path: String,
    pub body: String,
}

impl Connection {
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// The next request; none where the process has hung up.
    pub fn read(&mut self) -> io::Result<Option<Request>> {
        let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let path = line.split(' ').nth(1).ok_or_else(|| invalid("no path"))?.to_owned();
        let mut length = 0;
        loop {
            line.clear();
            self.0.read_line(&mut line)?;
            let Some((name, value)) = line.split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().map_err(|_| invalid("Content-Length"))?;
            }
            if name.eq_ignore_ascii_case("transfer-encoding") {
                return Err(invalid("streamed responses are not supported"));
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok(Some(Request { path, body: String::from_utf8(body).map_err(|_| invalid("not UTF-8"))? }))
    }

    /// Answers the request, in one piece.
    pub fn write(&mut self, status: &str, headers: &[(&str, &str)], body: &str) -> io::Result<()> {
        let mut response = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            write!(response, "{name}: {value}\r\n").expect("a string takes everything");
        }
        response += "\r\n";
        response += body;
        self.0.get_mut().write_all(response.as_bytes())
    }
}
