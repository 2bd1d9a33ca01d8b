#!/usr/bin/env bash
# Installs what the tests and captures/record.sh need beyond the Rust toolchain.
#
#   tests/setup.sh            install what is missing (Debian, Ubuntu), with sudo when not root
#   tests/setup.sh --check    install nothing; print what is missing, exit 1 if something is
#
# Does nothing, quickly, when all is there. No daemon is started or enabled by it: the tests start
# their own servers, with their own settings, in their own network namespaces.
set -euo pipefail

# command:Debian package
needs=(
  vsftpd:vsftpd               # FTP servers
  proftpd:proftpd-core
  pure-ftpd:pure-ftpd
  lftp:lftp                   # FTP clients
  curl:curl
  tnftp:tnftp
  tcpdump:tcpdump             # recording, reading and cutting captures
  tshark:tshark
  editcap:wireshark-common
  mergecap:wireshark-common
  capinfos:wireshark-common
  nft:nftables                # the kernel's firewall, which results are compared with
  conntrack:conntrack
  ip:iproute2                 # namespaces, links, routes
  ethtool:ethtool
  unshare:util-linux
  sysctl:procps
  dnsmasq:dnsmasq-base        # DNS server and client
  dig:bind9-dnsutils
  ping:iputils-ping
  traceroute:traceroute
  turnserver:coturn           # STUN server and client that name a translator's behaviour
  python3:python3             # web server, test scripts
  gcc:gcc                     # fuzz targets link C and C++
  g++:g++
)
# Debian lets only one FTP server be installed. Of these the program alone is
# fetched: it goes here, and its name to /usr/local/sbin.
beside=(proftpd-core pure-ftpd)
beside_at=/usr/local/lib/spigate-tests

# Daemons' directories are not in everyone's PATH.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

missing=() packages=()
find_missing() {
  local need command package
  missing=() packages=()
  for need in "${needs[@]}"; do
    command=${need%%:*} package=${need#*:}
    command -v "$command" >/dev/null && continue
    missing+=("$command")
    [[ " ${packages[*]-} " == *" $package "* ]] || packages+=("$package")
  done
}

case ${1-} in
  '' | --check) ;;
  -h | --help)
    sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0"
    exit 0
    ;;
  *)
    echo "setup.sh: unknown argument '$1' (see --help)" >&2
    exit 2
    ;;
esac

find_missing
if ((${#missing[@]} == 0)); then
  echo "setup.sh: all ${#needs[@]} programs are there"
  exit 0
fi
echo "setup.sh: missing: ${missing[*]}"
if [[ ${1-} == --check ]]; then
  exit 1
fi

if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
  echo "setup.sh: no apt-get here: install the programs named above with this system's own tools" >&2
  echo "setup.sh: (Debian calls the packages: ${packages[*]})" >&2
  exit 1
fi

root=()
if ((EUID != 0)); then
  if ! command -v sudo >/dev/null; then
    echo "setup.sh: neither root nor sudo: have an administrator install: ${packages[*]}" >&2
    exit 1
  fi
  root=(sudo)
fi
as_root() { ${root[@]+"${root[@]}"} "$@"; }

# A package's scripts ask policy-rc.d before they start a service; 101 means "do not".
policy=/usr/sbin/policy-rc.d
own_policy=
clean_up() {
  [[ -z $own_policy ]] || as_root rm -f "$policy"
  own_policy=
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
if [[ ! -e $policy ]]; then
  own_policy=yes
  printf '#!/bin/sh\nexit 101\n' | as_root install -m 0755 /dev/stdin "$policy"
fi

apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300)
as_root "${apt[@]}" update || echo "setup.sh: not every package list could be fetched; trying with what is there" >&2

# is_beside PACKAGE
is_beside() { [[ " ${beside[*]} " == *" $1 "* ]]; }
# fetch_beside PACKAGE COMMAND: unpacks it, and installs the libraries that it asks for. Nothing of it runs.
fetch_beside() {
  local package=$1 command=$2 files libraries
  files=$(mktemp -d)
  # apt's own user downloads
  chmod 777 "$files"
  (cd "$files" && apt-get -q download "$package")
  mapfile -t libraries < <(dpkg-deb --field "$files"/*.deb Depends | tr ',' '\n' | sed -nE 's/^ *(lib[^ :|(]*).*/\1/p')
  as_root "${apt[@]}" install --no-install-recommends --no-remove "${libraries[@]}"
  as_root mkdir -p "$beside_at/$package" /usr/local/sbin
  as_root dpkg-deb --extract "$files"/*.deb "$beside_at/$package"
  as_root ln -sf "$beside_at/$package/usr/sbin/$command" "/usr/local/sbin/$command"
  rm -rf "$files"
}
installed=()
for package in "${packages[@]}"; do
  is_beside "$package" || installed+=("$package")
done
if ((${#installed[@]})); then
  # Nothing that is here, another FTP server perhaps, has to go for it.
  as_root "${apt[@]}" install --no-install-recommends --no-remove "${installed[@]}"
fi
for need in "${needs[@]}"; do
  command=${need%%:*} package=${need#*:}
  if is_beside "$package" && [[ " ${packages[*]} " == *" $package "* ]]; then
    fetch_beside "$package" "$command"
  fi
done

# Nor may a server that came with this installation start at the next boot.
for server in vsftpd coturn; do
  [[ " ${packages[*]} " == *" $server "* ]] || continue
  if command -v systemctl >/dev/null; then
    as_root systemctl --no-reload disable "$server.service" || true
  elif command -v update-rc.d >/dev/null; then
    as_root update-rc.d "$server" disable || true
  fi
done
clean_up

wanted=${packages[*]}
find_missing
if ((${#missing[@]})); then
  echo "setup.sh: still missing after installing $wanted: ${missing[*]}" >&2
  exit 1
fi
echo "setup.sh: installed $wanted"
