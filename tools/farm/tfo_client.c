// SPDX-License-Identifier: BSD-2-Clause
// TCP Fast Open from C, in the two ways that applications use:
//   sendto   sendto(MSG_FASTOPEN) in place of connect() (Linux 3.6)
//   connect  TCP_FASTOPEN_CONNECT, then a non-blocking connect() and write(), as programs in Go do
//            through net.Dialer.Control (Linux 4.11)
// usage: tfo_client sendto|connect ADDRESS PORT COUNT
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { kTimeoutMs = 10000 };

static const char kRequest[] = "GET / HTTP/1.0\r\nHost: farm\r\n\r\n";

struct peer {
  struct sockaddr_storage address;
  socklen_t length;
};

static bool parse_peer(const char *address, const char *port, struct peer *peer) {
  struct sockaddr_in *v4 = (struct sockaddr_in *)&peer->address;
  struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&peer->address;
  memset(peer, 0, sizeof(*peer));
  in_port_t number = htons((in_port_t)strtoul(port, NULL, 10));
  if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = number;
    peer->length = sizeof(*v4);
    return true;
  }
  v6->sin6_family = AF_INET6;
  v6->sin6_port = number;
  peer->length = sizeof(*v6);
  return inet_pton(AF_INET6, address, &v6->sin6_addr) == 1;
}

static bool wait_for(int fd, short events) {
  struct pollfd ready = {.fd = fd, .events = events};
  int result;
  do {
    result = poll(&ready, 1, kTimeoutMs);
  } while (result < 0 && errno == EINTR);
  if (result == 0) {
    errno = ETIMEDOUT;
  }
  return result > 0;
}

// The rest of the request, from `sent` on. EINPROGRESS: the handshake that write() began goes on.
static bool write_rest(int fd, size_t sent) {
  while (sent < sizeof(kRequest) - 1) {
    ssize_t written = write(fd, kRequest + sent, sizeof(kRequest) - 1 - sent);
    if (written > 0) {
      sent += (size_t)written;
    } else if (errno != EAGAIN && errno != EINPROGRESS && errno != EINTR) {
      return false;
    } else if (!wait_for(fd, POLLOUT)) {
      return false;
    }
  }
  return true;
}

static bool open_sendto(int fd, const struct peer *peer) {
  ssize_t sent = sendto(fd, kRequest, sizeof(kRequest) - 1, MSG_FASTOPEN,
                        (const struct sockaddr *)&peer->address, peer->length);
  return sent >= 0 && write_rest(fd, (size_t)sent);
}

static bool open_connect(int fd, const struct peer *peer) {
  int on = 1;
  if (setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof(on)) != 0) {
    return false;
  }
  // With a cookie in the cache connect() succeeds at once and write() sends the SYN.
  if (connect(fd, (const struct sockaddr *)&peer->address, peer->length) != 0) {
    int error = 0;
    socklen_t length = sizeof(error);
    if (errno != EINPROGRESS || !wait_for(fd, POLLOUT) ||
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) {
      return false;
    }
    if (error != 0) {
      errno = error;
      return false;
    }
  }
  return write_rest(fd, 0);
}

static bool read_answer(int fd) {
  char answer[4096];
  size_t length = 0;
  for (;;) {
    ssize_t got = read(fd, answer + length, sizeof(answer) - 1 - length);
    if (got > 0) {
      length += (size_t)got;
    } else if (got == 0 || length == sizeof(answer) - 1) {
      break;
    } else if ((errno != EAGAIN && errno != EINTR) || !wait_for(fd, POLLIN)) {
      return false;
    }
  }
  answer[length] = '\0';
  errno = EPROTO;
  return strncmp(answer, "HTTP/1.", 7) == 0 && strstr(answer, " 200 ") != NULL;
}

static bool fetch(bool by_connect, const struct peer *peer) {
  int flags = SOCK_STREAM | SOCK_CLOEXEC | (by_connect ? SOCK_NONBLOCK : 0);
  int fd = socket(peer->address.ss_family, flags, 0);
  if (fd < 0) {
    return false;
  }
  struct timeval timeout = {.tv_sec = kTimeoutMs / 1000};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
  bool good = (by_connect ? open_connect(fd, peer) : open_sendto(fd, peer)) && read_answer(fd);
  int error = errno;
  close(fd);
  errno = error;
  return good;
}

int main(int argc, char **argv) {
  struct peer peer;
  bool by_connect = argc == 5 && strcmp(argv[1], "connect") == 0;
  if (argc != 5 || (!by_connect && strcmp(argv[1], "sendto") != 0) ||
      !parse_peer(argv[2], argv[3], &peer)) {
    fprintf(stderr, "usage: tfo_client sendto|connect ADDRESS PORT COUNT\n");
    return 2;
  }
  for (long left = strtol(argv[4], NULL, 10); left > 0; --left) {
    if (!fetch(by_connect, &peer)) {
      fprintf(stderr, "tfo_client: %s to %s port %s: %s\n", argv[1], argv[2], argv[3],
              strerror(errno));
      return 1;
    }
  }
  return 0;
}
