/*
 * A switch that holds every frame for a set time: delayBridge MICROSECONDS INTERFACE INTERFACE…
 * For kernels without netem. Prints "ready" once it forwards; ends with its standard input. Needs CAP_NET_RAW.
 *
 * Frames come with the kernel's own header for offloads (PACKET_VNET_HDR), so that segments of 64 KiB and checksums that a
 * network card would fill in pass as they are.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { most_ports = 64, header_bytes = 10, frame_bytes = 70000, address_bytes = 6 };

struct frame {
  struct frame *next;
  int64_t due;
  int from;
  ssize_t bytes;
  unsigned char content[];
};

static int sockets[most_ports];
static unsigned char addresses[most_ports][address_bytes];
static int ports;

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static int open_port(const char *name) {
  int port = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(ETH_P_ALL));
  if (port < 0) fail("socket");
  int one = 1, room = 16 << 20;
  if (setsockopt(port, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof one)) fail("PACKET_VNET_HDR");
  /* What is sent from here is not to come back. */
  if (setsockopt(port, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one)) fail("PACKET_IGNORE_OUTGOING");
  setsockopt(port, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
  setsockopt(port, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
  struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
  address.sll_ifindex = (int)if_nametoindex(name);
  if (!address.sll_ifindex || bind(port, (struct sockaddr *)&address, sizeof address)) fail(name);
  return port;
}

static void send_frame(const struct frame *frame, int to) {
  while (send(sockets[to], frame->content, (size_t)frame->bytes, 0) < 0) {
    if (errno != EAGAIN && errno != ENOBUFS) return; /* Lost, as on a wire. */
    struct pollfd waiting = {.fd = sockets[to], .events = POLLOUT};
    poll(&waiting, 1, 1);
  }
}

/* To the port where the address was seen, else to all others. */
static void forward(const struct frame *frame) {
  const unsigned char *target = frame->content + header_bytes;
  for (int port = 0; port < ports; port++)
    if (!(target[0] & 1) && !memcmp(addresses[port], target, address_bytes)) {
      if (port != frame->from) send_frame(frame, port);
      return;
    }
  for (int port = 0; port < ports; port++)
    if (port != frame->from) send_frame(frame, port);
}

int main(int count, char **words) {
  if (count < 4 || count - 2 > most_ports) {
    fprintf(stderr, "usage: delayBridge MICROSECONDS INTERFACE INTERFACE...\n");
    return 2;
  }
  int64_t delay = (int64_t)(atof(words[1]) * 1000);
  ports = count - 2;
  for (int port = 0; port < ports; port++) sockets[port] = open_port(words[port + 2]);
  /* The ranks take all cores; a wire does not wait for one. */
  struct sched_param priority = {.sched_priority = 10};
  sched_setscheduler(0, SCHED_FIFO, &priority);
  prctl(PR_SET_TIMERSLACK, 1);
  printf("ready\n");
  fflush(stdout);

  struct frame *first = NULL, **last = &first;
  static unsigned char content[frame_bytes];
  struct pollfd polled[most_ports + 1];
  for (int port = 0; port < ports; port++) polled[port] = (struct pollfd){.fd = sockets[port], .events = POLLIN};
  polled[ports] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
  for (;;) {
    int64_t wait = first ? first->due - now() : 0;
    struct timespec timeout = {.tv_sec = wait / 1000000000, .tv_nsec = wait % 1000000000};
    if (first && wait < 0) timeout = (struct timespec){0};
    if (ppoll(polled, (nfds_t)ports + 1, first ? &timeout : NULL, NULL) < 0 && errno != EINTR) fail("ppoll");
    char end;
    if (polled[ports].revents && read(STDIN_FILENO, &end, 1) <= 0) return 0;
    for (int port = 0; port < ports; port++) {
      if (!polled[port].revents) continue;
      ssize_t bytes;
      while ((bytes = recv(sockets[port], content, sizeof content, 0)) > header_bytes + ETH_HLEN) {
        memcpy(addresses[port], content + header_bytes + address_bytes, address_bytes);
        struct frame *frame = malloc(sizeof *frame + (size_t)bytes);
        if (!frame) fail("malloc");
        *frame = (struct frame){.due = now() + delay, .from = port, .bytes = bytes};
        memcpy(frame->content, content, (size_t)bytes);
        *last = frame;
        last = &frame->next;
        if (first && first->due <= now()) break; /* What is due goes first. */
      }
    }
    while (first && first->due <= now()) {
      struct frame *frame = first;
      first = frame->next;
      if (!first) last = &first;
      forward(frame);
      free(frame);
    }
  }
}
