//! `spigate ctl`: a running gateway is asked, and told what to do.

pub(super) mod args;
mod client;
mod events;
mod tables;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

use self::args::{CaptureCommand, Command, Ctl, Order};
use self::client::{Client, Trouble};
use super::{Exit, complain, output_failed};
use crate::control::{
    CaptureSize, FilterError, Limit, Refusal, Request, SessionFilter, Sort, Tell,
};

/// Runs the command.
pub(super) fn run(args: &Ctl, out: &mut impl Write, err: &mut impl Write) -> Exit {
    let request = match request(&args.command) {
        Ok(request) => request,
        Err(error) => {
            complain(err, error);
            return Exit::Unusable;
        }
    };
    match talk(args, &request, out) {
        Ok(exit) => exit,
        Err(Trouble::Output(error)) => output_failed(&error, err),
        Err(trouble) => {
            let exit = match &trouble {
                Trouble::Refused(refused) if refused.error != Refusal::BadRequest => Exit::No,
                _ => Exit::Unusable,
            };
            match &trouble {
                Trouble::Refused(_) => complain(err, trouble),
                _ => complain(err, format_args!("{}: {trouble}", args.socket.display())),
            }
            exit
        }
    }
}

/// What is asked for on the command line.
fn request(command: &Command) -> Result<Request, FilterError> {
    Ok(match command {
        Command::Sessions(sessions) => {
            let sort = match sessions.sort {
                Order::Id => Sort::Id,
                Order::Bytes => Sort::Bytes,
                Order::Packets => Sort::Packets,
                Order::Age => Sort::Age,
                Order::Left => Sort::Left,
            };
            Request::Sessions {
                filter: filter(&sessions.filter)?,
                sort: (!sessions.all).then_some(sort),
                limit: (!sessions.all).then_some(Limit(sessions.limit)),
            }
        }
        Command::Watch(watch) => Request::Watch {
            filter: filter(&watch.filter)?,
        },
        Command::Kill(kill) => Request::Kill {
            filter: filter(&kill.filter)?,
            tell: match kill.reset {
                true => Tell::Reset,
                false => Tell::Nobody,
            },
        },
        Command::Mappings => Request::Mappings {},
        Command::Leases => Request::Leases {},
        Command::Expectations => Request::Expectations {},
        Command::Rules => Request::Rules {},
        Command::Nat => Request::Nat {},
        Command::Counters => Request::Counters {},
        Command::Timeouts => Request::Timeouts {},
        Command::Workers => Request::Workers {},
        Command::Metrics => Request::Metrics {},
        Command::Drain => Request::Drain {},
        Command::Undrain => Request::Undrain {},
        Command::Log(log) => Request::Log {
            level: log.level.clone(),
        },
        Command::Capture(capture) => match &capture.command {
            CaptureCommand::Start(start) => Request::CaptureStart {
                file: whole(&start.file),
                filter: start.filter.join(" ").parse()?,
                size: CaptureSize(start.size),
            },
            CaptureCommand::Status => Request::CaptureStatus {},
            CaptureCommand::Stop => Request::CaptureStop {},
        },
        Command::Save => Request::Save {},
        Command::Reload => Request::Reload {},
        Command::Version => Request::Version {},
    })
}

fn filter(words: &[String]) -> Result<SessionFilter, FilterError> {
    words.join(" ").parse()
}

/// The path as the gateway can use it.
fn whole(file: &Path) -> PathBuf {
    std::path::absolute(file).unwrap_or_else(|_| file.to_owned())
}

/// Asks, and shows what is answered.
fn talk(args: &Ctl, request: &Request, out: &mut impl Write) -> Result<Exit, Trouble> {
    let mut client = Client::connect(&args.socket)?;
    let mut exit = Exit::Fine;
    let mut objects = Vec::new();
    client.ask(request, |line, object| {
        if object.get("killed").and_then(Value::as_u64) == Some(0) {
            exit = Exit::No;
        }
        match (args.json, request) {
            (true, _) => tell(out, line),
            (false, Request::Watch { .. }) => tell(out, &events::line(&object)),
            (false, _) => {
                objects.push(object);
                Ok(())
            }
        }
    })?;
    if !args.json {
        tables::print(out, request, &objects).map_err(Trouble::Output)?;
    }
    Ok(exit)
}

/// Prints a line that somebody waits for.
fn tell(out: &mut impl Write, line: &str) -> io::Result<()> {
    writeln!(out, "{line}")?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::args::{Args, Command as Spigate};

    fn ctl(words: &[&str]) -> Ctl {
        let args = Args::parse_from(["spigate", "ctl"].iter().chain(words));
        match args.command {
            Spigate::Ctl(ctl) => ctl,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn commands_become_requests() {
        let lines = [
            &[
                "sessions",
                "proto=tcp",
                "src=10.0.0.0/24",
                "--sort",
                "bytes",
            ][..],
            &["sessions", "--all"],
            &["kill", "id=7", "--reset"],
            &["watch", "dport=443", "--json"],
            &["capture", "start", "/tmp/x.pcapng", "verdict=drop"],
            &["log", "debug"],
        ]
        .map(|words| {
            let request = request(&ctl(words).command).unwrap();
            serde_json::to_string(&request).unwrap()
        });
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn without_a_gateway_and_with_bad_filters_it_is_of_no_use() {
        let mut said = Vec::new();
        for words in [
            &["--socket", "/nonexistent/control.sock", "rules"][..],
            &["sessions", "colour=red"],
        ] {
            let exit = run(&ctl(words), &mut Vec::new(), &mut said);
            assert_eq!(exit, Exit::Unusable);
        }
        insta::assert_snapshot!(String::from_utf8(said).unwrap());
    }
}
