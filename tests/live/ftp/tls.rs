//! FTP with TLS on its control connection, which no gateway can read: the passive
//! ports are open by rule, as `docs/ftp.md` says.

use std::fs;
use std::process::Command;

use super::matrix::rules;
use crate::enter::in_own_namespaces;
use crate::lab::{INSIDE, Lab, PUBLIC, checked};
use crate::servers::{Ftp, noise, vsftpd_with};

const PROGRAMS: &[&str] = &["vsftpd", "curl", "lftp", "openssl", "ss", "kill"];

#[test]
fn an_encrypted_dialogue_works_by_the_ports_that_are_open_for_it() {
    let test = "ftp::tls::an_encrypted_dialogue_works_by_the_ports_that_are_open_for_it";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let inside = lab.add_inside_server();
        let ftp = Ftp::start(&lab, &inside, &[], 8 << 20);
        let (key, certificate) = (lab.dir.path("key.pem"), lab.dir.path("certificate.pem"));
        let mut openssl = Command::new("openssl");
        openssl.args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
        ]);
        openssl.args([
            "-subj",
            "/CN=files.example",
            "-addext",
            "subjectAltName=DNS:files.example",
            "-keyout",
        ]);
        checked(openssl.arg(&key).arg("-out").arg(&certificate));
        let settings = format!(
            "ssl_enable=YES\nallow_anon_ssl=YES\nforce_anon_data_ssl=YES\nforce_anon_logins_ssl=YES\n\
             require_ssl_reuse=NO\nssl_ciphers=HIGH\n\
             rsa_cert_file={}\nrsa_private_key_file={}\n\
             pasv_min_port=40000\npasv_max_port=40100\npasv_address={PUBLIC}\n",
            certificate.display(),
            key.display()
        );
        let _server = vsftpd_with(&lab, &inside, INSIDE, &settings);
        let gateway = lab.start_gateway(&rules("tls"));

        let large = fs::read(&ftp.large).unwrap();
        let own = lab.dir.write("own", noise(1 << 20));
        let certificate = certificate.display().to_string();
        let fetched = lab.dir.path("fetched").display().to_string();
        let own_name = own.display().to_string();
        for way in [&["--disable-epsv", "--no-ftp-skip-pasv-ip"][..], &[]] {
            let common = [
                "--disable",
                "--silent",
                "--show-error",
                "--ssl-reqd",
                "--cacert",
                &certificate,
                "--max-time",
                "60",
                "--connect-to",
                "files.example:21:203.0.113.2:21",
            ];
            let down = ["--output", &fetched, "ftp://files.example/pub/large"];
            let up = [
                "--upload-file",
                &own_name,
                "ftp://files.example/incoming/own",
            ];
            for what in [down, up] {
                lab.server.run("curl", &[&common[..], way, &what].concat());
            }
            assert!(fs::read(&fetched).unwrap() == large, "{way:?}");
            let brought = ftp.incoming.join("own");
            assert!(
                fs::read(&brought).unwrap() == fs::read(&own).unwrap(),
                "{way:?}"
            );
            fs::remove_file(brought).unwrap();
        }
        gateway.stop(&lab);
    });
}
