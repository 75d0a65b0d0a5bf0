# SPDX-License-Identifier: GPL-2.0-or-later
"""The run whose packets tests/net/packet-ways and tests/gdb/ways.py follow: a ping, fragments
of the sender's and of a router's making, TCP with segmentation and retransmissions through NAT,
ip6gre and vxlan tunnels, multicast over three nodes; with a tcpdump at every end of a link.
Imported, not run."""

SCENARIO = """
name: packet-ways
general: {seed: 5, stop_time: 9s}
topology:
  defaults: {kernel: "6.1"}
  nodes:
    h1:
      exec:
        - ip addr add 10.0.1.2/24 dev eth0
        - ip addr add fd01::2/64 dev eth0 nodad
        - ip route add default via 10.0.1.1
        - ip -6 route add default via fd01::1
      processes:
        - &capture0
          {path: tcpdump, args: -i eth0 -U -s 200 --nano -w -, start_time: 500ms,
           expected_final_state: running}
        - {path: ping, args: -c 1 10.0.3.2, start_time: 2s, expected_exit: 0}
        - {path: ping, args: -c 1 -s 3000 10.0.3.2, start_time: 3s, expected_exit: 0}
        - {path: ping, args: -c 1 -s 1300 -M dont 10.0.3.2, start_time: 3500ms, expected_exit: 0}
        - {path: ping, args: -c 1 fd03::2, start_time: 4s, expected_exit: 0}
        - {path: ping, args: -c 1 10.0.4.2, start_time: 5s, expected_exit: 0}
        - path: python3
          args:
            - -c
            - |
              import socket
              s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
              s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 5)
              s.sendto(b"to all", ("239.1.2.3", 6000))
          start_time: 6s
          expected_exit: 0
        - path: python3
          args:
            - -c
            - |
              import socket
              s = socket.create_connection(("10.0.3.2", 5000))
              s.sendall(bytes(range(250)) * 160)
              s.shutdown(socket.SHUT_WR)
              print(s.recv(10))
          start_time: 7s
          expected_exit: 0
    r1:
      sysctls: {net.ipv4.ip_forward: 1, net.ipv6.conf.all.forwarding: 1}
      exec:
        - ip addr add 10.0.1.1/24 dev eth0
        - ip addr add 10.0.2.1/24 dev eth1
        - ip addr add fd01::1/64 dev eth0 nodad
        - ip addr add fd02::1/64 dev eth1 nodad
        - ip route add 10.0.3.0/24 via 10.0.2.2
        - ip link add g6 type ip6gre local fd02::1 remote fd02::2
        - ip link set g6 up
        - ip -6 route add fd03::/64 dev g6
        - ip link add vx type vxlan id 42 remote 10.0.2.2 dstport 4789 dev eth1
        - ip addr add 10.9.0.1/24 dev vx
        - ip link set vx up
        - ip route add 10.0.4.0/24 via 10.9.0.2
        - nft add table ip t
        - nft add chain ip t post { type nat hook postrouting priority 100 \\; }
        - nft add rule ip t post oifname eth1 tcp dport 5000 masquerade
        - nft add chain ip t out { type filter hook postrouting priority 0 \\; }
        - nft add rule ip t out tcp dport 5000 meta length gt 900 numgen inc mod 9 4 drop
      processes:
        - *capture0
        - &capture1
          {path: tcpdump, args: -i eth1 -U -s 200 --nano -w -, start_time: 500ms,
           expected_final_state: running}
        - {path: tcpdump, args: -i eth2 -U -s 200 --nano -w -, start_time: 500ms,
           expected_final_state: running}
        - path: sh
          args:
            - -c
            - |
              for device in eth0 eth1 eth2; do echo phyint $device enable; done >/tmp/conf
              echo mroute from eth0 group 239.1.2.3 to eth1 eth2 >>/tmp/conf
              exec smcrouted -n -f /tmp/conf
          start_time: 600ms
          expected_final_state: running
    r2:
      sysctls: {net.ipv4.ip_forward: 1, net.ipv6.conf.all.forwarding: 1}
      exec:
        - ip addr add 10.0.2.2/24 dev eth0
        - ip addr add 10.0.3.1/24 dev eth1
        - ip addr add 10.0.4.1/24 dev eth1
        - ip addr add fd02::2/64 dev eth0 nodad
        - ip addr add fd03::1/64 dev eth1 nodad
        - ip route add 10.0.1.0/24 via 10.0.2.1
        - ip link add g6 type ip6gre local fd02::2 remote fd02::1
        - ip link set g6 up
        - ip -6 route add fd01::/64 dev g6
        - ip link add vx type vxlan id 42 remote 10.0.2.1 dstport 4789 dev eth0
        - ip addr add 10.9.0.2/24 dev vx
        - ip link set vx up
      processes:
        - *capture0
        - *capture1
        - &listen
          path: python3
          args:
            - -c
            - |
              import socket, struct
              s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
              s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                           struct.pack("=4s4si", socket.inet_aton("239.1.2.3"), bytes(4),
                                       socket.if_nametoindex("eth0")))
              s.bind(("239.1.2.3", 6000))
              print(s.recv(100))
          start_time: 1s
          expected_exit: 0
    h2:
      exec:
        - ip addr add 10.0.3.2/24 dev eth0
        - ip addr add 10.0.4.2/24 dev eth0
        - ip addr add fd03::2/64 dev eth0 nodad
        - ip route add default via 10.0.3.1
        - ip -6 route add default via fd03::1
      processes:
        - *capture0
        - path: python3
          args:
            - -c
            - |
              import socket
              server = socket.create_server(("", 5000))
              peer = server.accept()[0]
              print(len(b"".join(iter(lambda: peer.recv(4000), b""))))
              peer.sendall(b"all")
          start_time: 1s
          expected_exit: 0
    m:
      exec: [ip addr add 10.0.5.2/24 dev eth0]
      processes: [*capture0, *listen]
  links:
    - {endpoints: ["h1:eth0", "r1:eth0"], delay: 1ms, rate: 100mbit}
    - {endpoints: ["r1:eth1", "r2:eth0"], delay: 2ms, rate: 100mbit, mtu: 1300}
    - {endpoints: ["r2:eth1", "h2:eth0"], delay: 1ms, rate: 100mbit}
    - {endpoints: ["r1:eth2", "m:eth0"], delay: 1ms, rate: 100mbit}
"""
