// SPDX-License-Identifier: GPL-2.0-or-later
//
// The baseline of bench/run's udp-chain: the same chain in ns-3, with its own IPv4 stack. A row of
// nodes joined by point-to-point links of 10 Gbit/s and 1 ms, static routes, one UDP flow from the
// first to the last. Prints one JSON object: datagrams received, wall seconds of the simulation
// alone (no set-up).
//
// Queue disciplines are left out, checksums are not computed (both ns-3's faster choices).
//
// Usage: ns3_chain NODES DATAGRAMS BYTES

#include "ns3/core-module.h"
#include "ns3/internet-module.h"
#include "ns3/network-module.h"
#include "ns3/point-to-point-module.h"
#include "ns3/traffic-control-module.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>

using namespace ns3;

static uint32_t g_received;
static const uint16_t SINK_PORT = 5000;

static void
Receive(Ptr<Socket> socket)
{
	while (socket->Recv())
		g_received++;
}

// Sends the next datagram and schedules itself, 2 us later, until `left` are sent.
static void
Send(Ptr<Socket> socket, uint32_t bytes, uint32_t left)
{
	socket->Send(Create<Packet>(bytes));
	if (left > 1)
		Simulator::Schedule(MicroSeconds(2), &Send, socket, bytes, left - 1);
}

// A static route to the last network on every node of the row: what the kernels' chain has, too.
static void
AddRoutes(const NodeContainer& nodes)
{
	Ipv4StaticRoutingHelper routing;

	for (uint32_t i = 0; i + 1 < nodes.GetN(); i++) {
		Ptr<Ipv4> ipv4 = nodes.Get(i)->GetObject<Ipv4>();
		Ptr<Ipv4> next = nodes.Get(i + 1)->GetObject<Ipv4>();

		routing.GetStaticRouting(ipv4)->SetDefaultRoute(next->GetAddress(1, 0).GetLocal(),
								 ipv4->GetNInterfaces() - 1);
	}
}

int
main(int argc, char** argv)
{
	if (argc != 4) {
		fprintf(stderr, "usage: ns3_chain NODES DATAGRAMS BYTES\n");
		return 2;
	}
	uint32_t node_count = atoi(argv[1]), datagrams = atoi(argv[2]), bytes = atoi(argv[3]);
	NodeContainer nodes;
	nodes.Create(node_count);

	InternetStackHelper stack;
	Ipv4StaticRoutingHelper static_routing;
	stack.SetRoutingHelper(static_routing);
	stack.SetIpv6StackInstall(false);
	stack.Install(nodes);

	PointToPointHelper link;
	link.SetDeviceAttribute("DataRate", StringValue("10Gbps"));
	link.SetChannelAttribute("Delay", StringValue("1ms"));
	link.SetQueue("ns3::DropTailQueue", "MaxSize", StringValue("100000p"));
	Ipv4AddressHelper addresses("10.0.0.0", "255.255.255.0");
	TrafficControlHelper traffic_control;
	for (uint32_t i = 0; i + 1 < node_count; i++) {
		NetDeviceContainer devices = link.Install(nodes.Get(i), nodes.Get(i + 1));
		addresses.Assign(devices);
		traffic_control.Uninstall(devices);
		addresses.NewNetwork();
	}
	AddRoutes(nodes);

	Ptr<Socket> sink = Socket::CreateSocket(nodes.Get(node_count - 1),
						UdpSocketFactory::GetTypeId());
	sink->SetAttribute("RcvBufSize", UintegerValue(1 << 30));
	sink->Bind(InetSocketAddress(Ipv4Address::GetAny(), SINK_PORT));
	sink->SetRecvCallback(MakeCallback(&Receive));
	Ptr<Socket> source = Socket::CreateSocket(nodes.Get(0), UdpSocketFactory::GetTypeId());
	Ipv4Address last = nodes.Get(node_count - 1)->GetObject<Ipv4>()->GetAddress(1, 0).GetLocal();
	source->Connect(InetSocketAddress(last, SINK_PORT));
	Simulator::ScheduleWithContext(nodes.Get(0)->GetId(), Seconds(1), &Send, source, bytes,
				       datagrams);

	auto start = std::chrono::steady_clock::now();
	Simulator::Run();
	std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
	Simulator::Destroy();
	printf("{\"received\": %u, \"wall_s\": %.6f}\n", g_received, wall.count());
	return g_received == datagrams ? 0 : 1;
}
