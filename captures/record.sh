#!/usr/bin/env bash
# Records the captures of this directory again, from real clients and servers.
#
#   captures/record.sh              into this directory, where README.md is told the new sizes
#   captures/record.sh DIR          into DIR
#   captures/record.sh --check DIR  record nothing, check the captures in DIR and print the table
#
# Everything runs in network namespaces of its own, inside a mount and process namespace that goes
# when the script ends: nothing is left behind and nothing leaves this machine. As another user than
# root it makes a user namespace too, where the system lets it. tests/setup.sh installs what it needs.
#
#   client  10.0.0.7        --- lan0 10.0.0.1       router  wan0 198.51.100.1      --- server 198.51.100.21
#           2001:db8:10::7           2001:db8:10::1              2001:db8:ff:100::1    2001:db8:ff:100::21
#                                                           203.0.113.2 (NAT only)     198.51.100.9 (as a client)
#   inside  10.0.9.21       --- dmz0 10.0.9.1
#
# Captures are taken at lan0 and, where it translates, at wan0 and dmz0 of the router.
set -euo pipefail
export LC_ALL=C TZ=UTC PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
self=$here/$(basename "${BASH_SOURCE[0]}")
starts='2026-03-01T09:00:00Z' # every capture is moved to begin within this second

die() {
  echo "record.sh: $*" >&2
  exit 1
}

# ---- the check: what each capture must show ---------------------------------------------------------

# name | TCP connections | what must be seen, in tshark's words, each as "field=value"
expected() {
  cat <<'END'
ftp-passive-lftp.pcap        | 3 | cmd=PASV cmd=LIST cmd=RETR code=227 code=226 cmd=QUIT
ftp-active-lftp.pcap         | 3 | cmd=PORT cmd=LIST cmd=RETR code=200 code=226 cmd=QUIT
ftp-epsv-curl.pcap           | 3 | cmd=EPSV cmd=LIST cmd=RETR code=229 code=226 cmd=QUIT
ftp-eprt-curl.pcap           | 3 | cmd=EPRT cmd=LIST cmd=RETR code=200 code=226 cmd=QUIT
ftp-epsv-curl-v6.pcapng      | 3 | cmd=EPSV cmd=LIST cmd=RETR code=229 code=226 cmd=QUIT
ftp-passive-upload.pcap      | 2 | cmd=PASV cmd=STOR code=227 code=226 cmd=QUIT
ftp-passive-bulk.pcap        | 2 | cmd=PASV cmd=RETR code=227 code=226 cmd=QUIT cut=yes
web-fetch.pcap               | 2 | http=200 http=404
dns-udp.pcap                 | 0 | dns=1 dns=28 dnsrc=0 dnsrc=3
ping.pcap                    | 0 | icmp=8 icmp=0
ping-v6.pcap                 | 0 | icmpv6=128 icmpv6=129
refused-port.pcap            | 1 | rst=1 icmp=3
ftp-active-nat.lan.pcap      | 3 | cmd=PORT cmd=LIST cmd=RETR cmd=QUIT
ftp-active-nat.wan.pcap      | 3 | code=220 code=200 code=226 code=221
ftp-passive-nat.lan.pcap     | 3 | cmd=PASV cmd=LIST cmd=RETR cmd=QUIT
ftp-passive-nat.wan.pcap     | 3 | code=220 code=227 code=226 code=221
ftp-forward-passive.wan.pcap | 3 | cmd=PASV cmd=LIST cmd=RETR cmd=QUIT
ftp-forward-passive.dmz.pcap | 3 | code=220 code=227 code=226 code=221
END
}

# Prints one table row a capture; fails if one is missing, has a wrong checksum, or does not show what it should.
check() {
  local dir=$1 bad=0
  printf '%-30s %7s %7s %5s %6s  %s\n' capture packets bytes conns cut check
  while IFS='|' read -r name conns must; do
    local file=$dir/${name// /}
    check_one "$file" "${conns// /}" "$must" || bad=1
  done < <(expected)
  return $bad
}

check_one() {
  local file=$1 conns=$2 must=$3
  if [[ ! -s $file ]]; then
    printf '%-30s missing\n' "${file##*/}"
    return 1
  fi
  tshark -n -r "$file" -o ip.check_checksum:TRUE -o tcp.check_checksum:TRUE -o udp.check_checksum:TRUE \
    -T fields -E separator='|' -E occurrence=a \
    -e ip.checksum.status -e tcp.checksum.status -e udp.checksum.status -e icmp.checksum.status \
    -e icmpv6.checksum.status -e frame.len -e frame.cap_len -e tcp.stream -e ftp.request.command \
    -e ftp.response.code -e icmp.type -e icmpv6.type -e dns.qry.type -e dns.flags.rcode \
    -e http.response.code -e tcp.flags.reset -e tcp.flags.fin \
    -e tcp.analysis.lost_segment -e tcp.analysis.ack_lost_segment 2>/dev/null |
    awk -F'|' -v name="${file##*/}" -v size="$(stat -c %s "$file")" -v conns="$conns" -v must="$must" '
      function saw(what, values,  i, n, v) {
        n = split(values, v, ",")
        for (i = 1; i <= n; i++) seen[what "=" v[i]] = 1
      }
      {
        # 0: wrong, 1: right, 2: not verified (the inner headers of an ICMP error, a cut packet)
        if (($1 "," $2 "," $3 "," $4 "," $5) ~ /(^|,)0(,|$)/) wrong++
        if ($6 != $7) { cut++; seen["cut=yes"] = 1 }
        if ($8 != "" && !($8 in streams)) { streams[$8] = 1; n_streams++ }
        saw("cmd", $9); saw("code", $10); saw("icmp", $11); saw("icmpv6", $12)
        if ($8 != "" && ($16 == 1 || $17 == 1)) ended[$8]
        if ($18 != "" || $19 != "") holes++
        saw("dns", $13); saw("dnsrc", $14); saw("http", $15); saw("rst", $16)
      }
      END {
        if (wrong) fault = fault " wrong-checksums:" wrong
        if (n_streams + 0 != conns + 0) fault = fault " connections-wanted:" conns
        for (s in streams) if (!(s in ended)) unended++
        if (unended) fault = fault " connections-without-end:" unended
        if (holes && name !~ /[.](lan|wan|dmz)[.]/) fault = fault " packets-missing:" holes
        if (size > 61440) fault = fault " too-large"
        n = split(must, m, " ")
        for (i = 1; i <= n; i++) if (!(m[i] in seen)) fault = fault " not-seen:" m[i]
        printf "%-30s %7d %7d %5d %6d  %s\n", name, NR, size, n_streams, cut, fault == "" ? "ok" : "FAILED" fault
        exit fault != ""
      }'
}

# ---- entering namespaces of our own -----------------------------------------------------------------

if [[ ${1-} != --inside ]]; then
  case ${1-} in
    -h | --help)
      sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$self"
      exit 0
      ;;
    --check)
      check "${2:-$here}"
      exit
      ;;
    -*) die "unknown option $1 (see --help)" ;;
  esac
  out=$(cd "${1:-$here}" && pwd)
  for program in vsftpd lftp curl tcpdump tshark editcap mergecap nft ip ethtool sysctl dnsmasq dig ping python3 unshare; do
    command -v "$program" >/dev/null || die "$program is missing (tests/setup.sh installs it)"
  done
  enter=(unshare --mount --net --pid --fork --kill-child --mount-proc)
  if ((EUID == 0)); then
    # Where these are modules, a namespace does not load them by itself.
    modprobe -a nf_conntrack_ftp nf_nat_ftp 2>/dev/null || true
  else
    # not --map-root-user: as uid 0, tcpdump would want to become another user, and there is no other
    enter+=(--user --map-current-user --keep-caps)
    "${enter[@]}" true 2>/dev/null || die "not root, and this system gives no user namespaces"
  fi
  exec "${enter[@]}" "$self" --inside "$out" "$EUID"
fi

out=$2 caller=$3
work=$(mktemp -d "${TMPDIR:-/tmp}/spigate-record.XXXXXX")
prefix=sgrec
clean_up() {
  local status=$? ns pid
  trap - EXIT
  for ns in client router server inside; do
    for pid in $(ip netns pids $prefix-$ns 2>/dev/null); do
      kill "$pid" 2>/dev/null || true
    done
    ip netns del $prefix-$ns 2>/dev/null || true
  done
  if ((status != 0)) && [[ -d $work/log ]]; then
    echo "record.sh: failed; the last lines of the programs that spoke last:" >&2
    find "$work/log" -type f -printf '%T@ %p\n' | sort -n | tail -n 5 | cut -d ' ' -f 2 | xargs -r tail -n 5 >&2 || true
  fi
  rm -rf "$work"
  exit $status
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

mount -t tmpfs tmpfs /run # our own /run/netns
mkdir -p /run/netns
echo 'hosts: files' >"$work/nsswitch.conf"
mount --bind "$work/nsswitch.conf" /etc/nsswitch.conf # no program asks the outside for a name

# ---- the network ------------------------------------------------------------------------------------

in_ns() {
  local ns=$1
  shift
  ip netns exec $prefix-"$ns" "$@"
}

for ns in client router server inside; do
  ip netns add $prefix-$ns
  ip -n $prefix-$ns link set lo up
  in_ns $ns sysctl -qw net.ipv6.conf.all.accept_ra=0 net.ipv6.conf.default.accept_ra=0 \
    net.ipv4.ip_local_port_range='51000 51999' net.ipv4.tcp_no_metrics_save=1
done
in_ns router sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1

# link NS ROUTER-INTERFACE NUMBER: a cable from eth0 of NS to the router. Checksums are finished and segments cut by
# the sender, as on a real wire; neighbours are known beforehand, so that captures hold IP only.
link() {
  local ns=$1 dev=$2 n=$3
  ip link add "$dev" netns $prefix-router address "02:00:00:00:0$n:01" type veth \
    peer name eth0 netns $prefix-"$ns" address "02:00:00:00:0$n:02"
  in_ns router ethtool -K "$dev" tx off rx off sg off tso off gso off gro off >/dev/null
  in_ns "$ns" ethtool -K eth0 tx off rx off sg off tso off gso off gro off >/dev/null
  ip -n $prefix-router link set "$dev" up
  ip -n $prefix-"$ns" link set eth0 up
}
# address NS DEV ADDRESS/LEN; neighbour NS DEV ADDRESS MAC
address() {
  local flags=()
  [[ $3 != *:* ]] || flags=(nodad)
  ip -n $prefix-"$1" address add "$3" dev "$2" "${flags[@]}"
}
neighbour() { ip -n $prefix-"$1" neighbour replace "$3" lladdr "$4" dev "$2" nud permanent; }

link client lan0 1
link inside dmz0 2
link server wan0 3

address router lan0 10.0.0.1/24
address router lan0 2001:db8:10::1/64
address router dmz0 10.0.9.1/24
address router wan0 198.51.100.1/24
address router wan0 2001:db8:ff:100::1/64
address router wan0 203.0.113.2/32
address client eth0 10.0.0.7/24
address client eth0 2001:db8:10::7/64
address inside eth0 10.0.9.21/24
address server eth0 198.51.100.21/24
address server eth0 198.51.100.9/24
address server eth0 2001:db8:ff:100::21/64

for address in 10.0.0.7 2001:db8:10::7; do neighbour router lan0 $address 02:00:00:00:01:02; done
for address in 10.0.0.1 2001:db8:10::1; do neighbour client eth0 $address 02:00:00:00:01:01; done
neighbour router dmz0 10.0.9.21 02:00:00:00:02:02
neighbour inside eth0 10.0.9.1 02:00:00:00:02:01
for address in 198.51.100.21 198.51.100.9 2001:db8:ff:100::21; do neighbour router wan0 $address 02:00:00:00:03:02; done
for address in 198.51.100.1 2001:db8:ff:100::1; do neighbour server eth0 $address 02:00:00:00:03:01; done

ip -n $prefix-client route add default via 10.0.0.1
ip -n $prefix-client route add default via 2001:db8:10::1
ip -n $prefix-inside route add default via 10.0.9.1
ip -n $prefix-server route add default via 198.51.100.1
ip -n $prefix-server route add default via 2001:db8:ff:100::1

mtu() { # of the whole way from the client to the server
  ip -n $prefix-client link set eth0 mtu "$1"
  ip -n $prefix-router link set lan0 mtu "$1"
  ip -n $prefix-router link set wan0 mtu "$1"
  ip -n $prefix-server link set eth0 mtu "$1"
}

nat_on() {
  in_ns router nft -f - <<'END'
table ip gateway {
  ct helper ftp-standard { type "ftp" protocol tcp; }
  chain assign-helper {
    type filter hook prerouting priority filter
    tcp dport 21 ct helper set "ftp-standard"
  }
  chain forward-in {
    type nat hook prerouting priority dstnat
    iifname "wan0" ip daddr 203.0.113.2 tcp dport 21 dnat to 10.0.9.21
  }
  chain translate {
    type nat hook postrouting priority srcnat
    iifname { "lan0", "dmz0" } oifname "wan0" snat to 203.0.113.2
  }
}
END
}

# ---- the servers ------------------------------------------------------------------------------------

mkdir -p "$work"/{log,etc,empty,home,raw,done,get} "$work"/www "$work"/ftp/{pub,incoming}
chmod 755 "$work" "$work"/{empty,ftp,ftp/pub,www}
printf 'This file is small.\nIt is the same in every recording.\n' >"$work/ftp/readme.txt"
seq -f 'line %05.0f of a file of one mebibyte, each line of it 64 bytes.' 1 16384 >"$work/ftp/pub/bulk.txt"
printf 'minutes of a meeting\n' >"$work/ftp/pub/minutes.txt"
printf 'A file that a client brought.\n' >"$work/home/report.txt"
printf '<!doctype html>\n<title>A small page</title>\n<p>It is the same in every recording.\n' >"$work/www/index.html"
if [[ $caller == 0 ]]; then
  chown ftp "$work/ftp/incoming"
fi
find "$work/ftp" "$work/www" "$work/home/report.txt" -exec touch -d 2025-01-01T00:00:00Z {} +

# ftp_server NS NAME LISTEN-SETTINGS...
ftp_server() {
  local ns=$1 name=$2 conf=$work/etc/$2.conf
  shift 2
  {
    printf '%s\n' "$@" background=NO seccomp_sandbox=NO isolate=NO isolate_network=NO \
      anonymous_enable=YES local_enable=NO no_anon_password=NO anon_root="$work/ftp" secure_chroot_dir="$work/empty" \
      write_enable=YES anon_upload_enable=YES anon_umask=022 hide_ids=YES use_localtime=NO \
      pasv_min_port=40000 pasv_max_port=40100 connect_from_port_20=YES ftp_data_port=20 \
      ftpd_banner='an FTP server' xferlog_enable=NO syslog_enable=NO
    # there is no other user in our user namespace
    [[ $caller == 0 ]] || echo run_as_launching_user=YES
  } >"$conf"
  chmod 600 "$conf"
  in_ns "$ns" vsftpd "$conf" >"$work/log/$name" 2>&1 0>&1 & # it complains on descriptor 0
}
ftp_server server ftp4 listen=YES listen_address=198.51.100.21
ftp_server server ftp6 listen=NO listen_ipv6=YES listen_address6=2001:db8:ff:100::21
ftp_server inside ftp-dmz listen=YES listen_address=10.0.9.21

python=python3
[[ ! -x /usr/bin/python3 ]] || python=/usr/bin/python3
in_ns server $python -m http.server -b 198.51.100.21 -d "$work/www" 80 </dev/null >"$work/log/web" 2>&1 &
in_ns server dnsmasq --no-daemon --conf-file=/dev/null --no-resolv --no-hosts --pid-file= \
  --listen-address=198.51.100.21 --bind-interfaces --local=/example/ \
  --host-record=files.example,198.51.100.21,2001:db8:ff:100::21 </dev/null >"$work/log/dns" 2>&1 &

wait_until() { # for 10 seconds: COMMAND...
  local try
  for ((try = 0; try < 200; try++)); do
    "$@" >/dev/null 2>&1 && return
    sleep 0.05
  done
  die "never came true: $*"
}
listens() { [[ -n $(in_ns "$1" ss -Hln"$2" "src $3") ]]; }
wait_until listens server t 198.51.100.21:21
wait_until listens server t '[2001:db8:ff:100::21]:21'
wait_until listens inside t 10.0.9.21:21
wait_until listens server t 198.51.100.21:80
wait_until listens server u 198.51.100.21:53

# ---- recording --------------------------------------------------------------------------------------

recorders=() sides=()
# start_recording NAME DEV DIRECTION FILTER: from now on, what DEV of the router sees goes to raw/NAME
start_recording() {
  local name=$1 dev=$2 direction=$3 filter=$4
  # the program itself is our child, so that a signal reaches it
  ip netns exec $prefix-router tcpdump -n -i "$dev" -Q "$direction" --immediate-mode -U -Z root \
    -w "$work/raw/$name" "$filter" 2>"$work/log/tcpdump-$name" &
  recorders+=($!) sides+=("$name")
  wait_until grep -q '^tcpdump: listening' "$work/log/tcpdump-$name"
}
stop_recording() {
  local i
  sleep 0.5 # the last segments of closing connections
  for i in "${!recorders[@]}"; do
    kill -INT "${recorders[i]}"
    wait "${recorders[i]}" || die "the recording of ${sides[i]} failed"
    grep -q '^0 packets dropped by kernel' "$work/log/tcpdump-${sides[i]}" || die "packets of ${sides[i]} were lost"
  done
  finish "${sides[@]}"
  recorders=() sides=()
}
# Moves captures that belong together to the common start; microsecond pcap, or pcapng where the name says so.
finish() {
  local name first earliest shift format
  earliest=$(for name; do tshark -n -r "$work/raw/$name" -c 1 -T fields -e frame.time_epoch 2>/dev/null; done | sort -n | head -n1)
  [[ -n $earliest ]] || die "nothing was recorded: $*"
  first=${earliest%%.*}
  shift=$(($(date -d "$starts" +%s) - first))
  for name; do
    format=pcap
    [[ $name != *.pcapng ]] || format=pcapng
    # through pcap always: pcapng of the recording program would describe this machine
    editcap -F pcap -t "$shift" "$work/raw/$name" "$work/raw/shifted"
    editcap -F $format "$work/raw/shifted" "$work/done/$name"
  done
}
# record NAME FUNCTION ARG...: both directions at the client's side
record() {
  local name=$1
  shift
  start_recording "$name" lan0 inout 'host 10.0.0.7 or host 2001:db8:10::7'
  "$@" </dev/null >"$work/log/client-$name" 2>&1
  stop_recording
}

lftp_run() { # NS COMMANDS
  local ns=$1 commands=$2
  (cd "$work/get" && HOME=$work/home in_ns "$ns" lftp --norc -c "
    set cmd:fail-exit yes; set net:max-retries 1; set net:timeout 5; set ftp:ssl-allow no; set xfer:clobber yes
    set ftp:prefer-epsv no; set color:use-color no; $commands; bye")
}
curl_run() { (cd "$work/get" && HOME=$work/home in_ns client curl --disable --silent --show-error --globoff --max-time 10 "$@"); }

ls_and_get='ls; get readme.txt'
record ftp-passive-lftp.pcap lftp_run client "open 198.51.100.21; $ls_and_get"
record ftp-active-lftp.pcap lftp_run client "set ftp:passive-mode no; open 198.51.100.21; $ls_and_get"
record ftp-epsv-curl.pcap curl_run ftp://198.51.100.21/ ftp://198.51.100.21/readme.txt
record ftp-eprt-curl.pcap curl_run -P - ftp://198.51.100.21/ ftp://198.51.100.21/readme.txt
record ftp-epsv-curl-v6.pcapng curl_run 'ftp://[2001:db8:ff:100::21]/' 'ftp://[2001:db8:ff:100::21]/readme.txt'
record ftp-passive-upload.pcap lftp_run client "set ftp:use-site-utime no; set ftp:use-site-utime2 no; open 198.51.100.21; cd incoming; put $work/home/report.txt"

mtu 9000 # few, large packets
record ftp-passive-bulk.pcap lftp_run client 'open 198.51.100.21; get pub/bulk.txt'
cmp "$work/get/bulk.txt" "$work/ftp/pub/bulk.txt"
mtu 1500
# The data session is cut to its headers (and then some); the control connection stays whole.
tshark -n -r "$work/done/ftp-passive-bulk.pcap" -Y 'tcp.port == 21' -F pcap -w "$work/raw/control" 2>/dev/null
tshark -n -r "$work/done/ftp-passive-bulk.pcap" -Y '!(tcp.port == 21)' -F pcap -w "$work/raw/data" 2>/dev/null
editcap -F pcap -s 96 "$work/raw/data" "$work/raw/data-cut"
mergecap -F pcap -w "$work/done/ftp-passive-bulk.pcap" "$work/raw/control" "$work/raw/data-cut"

web_fetch() {
  curl_run http://198.51.100.21/
  curl_run http://198.51.100.21/nothing-here
}
record web-fetch.pcap web_fetch

dns_ask() {
  local question
  for question in 'A files.example' 'AAAA files.example' 'A nothing.example'; do
    # shellcheck disable=SC2086 # two words
    in_ns client dig +tries=1 +time=3 +nocookie @198.51.100.21 $question
  done
}
record dns-udp.pcap dns_ask

record ping.pcap in_ns client ping -n -c 3 -i 0.2 198.51.100.21
record ping-v6.pcap in_ns client ping -n -c 3 -i 0.2 2001:db8:ff:100::21

refused() {
  if curl_run https://198.51.100.21/; then # nothing listens at 443
    return 1
  fi
  { printf '\043' && head -c 47 /dev/zero; } >"$work/home/ntp-question"
  # shellcheck disable=SC2016 # expanded inside
  in_ns client bash -c 'cat "$1" >/dev/udp/198.51.100.21/123' - "$work/home/ntp-question"
}
record refused-port.pcap refused

# From here on the router translates, and each side's file holds only what came in there.
nat_on
record_pair() { # BASE NS COMMANDS SIDE DEV FILTER SIDE DEV FILTER
  local base=$1 ns=$2 commands=$3
  start_recording "$base.$4.pcap" "$5" in "$6"
  start_recording "$base.$7.pcap" "$8" in "$9"
  lftp_run "$ns" "$commands" </dev/null >"$work/log/client-$base" 2>&1
  stop_recording
}
lan_wan=(lan lan0 'host 10.0.0.7' wan wan0 'host 203.0.113.2')
record_pair ftp-active-nat client "set ftp:passive-mode no; open 198.51.100.21; $ls_and_get" "${lan_wan[@]}"
record_pair ftp-passive-nat client "open 198.51.100.21; $ls_and_get" "${lan_wan[@]}"
record_pair ftp-forward-passive server "set net:socket-bind-ipv4 198.51.100.9; open 203.0.113.2; $ls_and_get" \
  wan wan0 'host 203.0.113.2' dmz dmz0 'host 10.0.9.21'

# ---- the result -------------------------------------------------------------------------------------

check "$work/done" || die "these captures are not good; none was stored"
for file in "$work"/done/*; do
  install -m 0644 "$file" "$out/${file##*/}"
done

# The index says how many packets and bytes each has.
if [[ -f $out/README.md ]]; then
  check "$out" | awk '
    NR == FNR { packets[$1] = $2; bytes[$1] = $3; next }
    {
      n = split($0, cell, "|")
      name = cell[2]
      gsub(/[` ]/, "", name)
      if (n > 4 && name in packets && cell[3] ~ /^ *[0-9]+ *$/) {
        cell[3] = sprintf(" %7d ", packets[name])
        cell[4] = sprintf(" %6d ", bytes[name])
        line = cell[1]
        for (i = 2; i <= n; i++) line = line "|" cell[i]
        $0 = line
      }
      print
    }' - "$out/README.md" >"$work/README.md"
  cat "$work/README.md" >"$out/README.md"
fi
