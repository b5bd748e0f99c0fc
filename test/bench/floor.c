/*
 * The least that asking a PostgreSQL server can cost: one static program, blocking sockets, SCRAM-SHA-256
 * (RFC 5802, RFC 7677) and one simple query. The bench compares a probe with it; nothing else uses it.
 *
 *   floor HOST PORT USER PASSWORD DATABASE QUERY     exits with 0 when a row came
 *
 * Build: gcc -O2 -static -o floor floor.c -lcrypto
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEY = 32, TEXT = 1024, MESSAGE = 65536 };

static int server;

static void fail(const char *why) {
  fprintf(stderr, "floor: %s\n", why);
  exit(1);
}

static void read_all(void *to, size_t count) {
  for (char *at = to; count > 0;) {
    ssize_t got = read(server, at, count);
    if (got <= 0) fail("the server closed the connection");
    at += got;
    count -= (size_t)got;
  }
}

/* A type of 0 is the start-up message, which has none. */
static void send_message(char type, const void *body, size_t length) {
  char out[4 * TEXT];
  size_t head = type ? 5 : 4;
  if (head + length > sizeof out) fail("the message is too long");
  uint32_t size = htonl((uint32_t)length + 4);
  out[0] = type;
  memcpy(out + head - 4, &size, 4);
  memcpy(out + head, body, length);
  if (write(server, out, head + length) != (ssize_t)(head + length)) fail("cannot write");
}

/* The type; the body is NUL-terminated. */
static char read_message(char body[MESSAGE]) {
  struct {
    char type;
    uint32_t size;
  } __attribute__((packed)) head;
  read_all(&head, sizeof head);
  uint32_t length = ntohl(head.size) - 4;
  if (length >= MESSAGE) fail("the server's message is too long");
  read_all(body, length);
  body[length] = 0;
  if (head.type == 'E') fail(body);
  return head.type;
}

static uint32_t code_of(const char *body) {
  uint32_t code;
  memcpy(&code, body, 4);
  return ntohl(code);
}

static void hmac(const unsigned char key[KEY], const char *text, unsigned char out[KEY]) {
  HMAC(EVP_sha256(), key, KEY, (const unsigned char *)text, strlen(text), out, NULL);
}

static char nonce[32], first_bare[64], signature[64];

static void scram_first(void) {
  unsigned char random[18];
  if (RAND_bytes(random, sizeof random) != 1) fail("no randomness");
  EVP_EncodeBlock((unsigned char *)nonce, random, sizeof random);
  snprintf(first_bare, sizeof first_bare, "n=,r=%s", nonce);
  char body[TEXT], full[80];
  uint32_t length = (uint32_t)snprintf(full, sizeof full, "n,,%s", first_bare);
  uint32_t wire = htonl(length);
  size_t name = sizeof "SCRAM-SHA-256"; /* with its NUL */
  memcpy(body, "SCRAM-SHA-256", name);
  memcpy(body + name, &wire, 4);
  memcpy(body + name + 4, full, length);
  send_message('p', body, name + 4 + length);
}

static void scram_final(const char *challenge, const char *password) {
  char both[128], salt64[128];
  int iterations;
  if (sscanf(challenge, "r=%127[^,],s=%127[^,],i=%d", both, salt64, &iterations) != 3) fail("no challenge");
  if (strncmp(both, nonce, strlen(nonce)) != 0) fail("not our nonce");
  unsigned char salt[128], salted[KEY], client[KEY], stored[KEY], proof[KEY], own[KEY];
  int salt_length = EVP_DecodeBlock(salt, (unsigned char *)salt64, (int)strlen(salt64));
  for (size_t end = strlen(salt64); end > 0 && salt64[end - 1] == '='; end--) salt_length--;
  PKCS5_PBKDF2_HMAC(password, (int)strlen(password), salt, salt_length, iterations, EVP_sha256(), KEY, salted);

  char without[256], transcript[TEXT], answer[TEXT], proof64[64];
  snprintf(without, sizeof without, "c=biws,r=%s", both);
  snprintf(transcript, sizeof transcript, "%s,%s,%s", first_bare, challenge, without);
  hmac(salted, "Client Key", client);
  SHA256(client, KEY, stored);
  hmac(stored, transcript, proof);
  for (int i = 0; i < KEY; i++) proof[i] ^= client[i];
  EVP_EncodeBlock((unsigned char *)proof64, proof, KEY);

  hmac(salted, "Server Key", own);
  hmac(own, transcript, proof);
  strcpy(signature, "v=");
  EVP_EncodeBlock((unsigned char *)signature + 2, proof, KEY);
  send_message('p', answer, (size_t)snprintf(answer, sizeof answer, "%s,p=%s", without, proof64));
}

static void log_in(const char *user, const char *password, const char *database) {
  char body[TEXT] = {0, 3, 0, 0}; /* protocol 3.0 */
  int length = 4 + snprintf(body + 4, sizeof body - 4, "user%c%s%cdatabase%c%s%c", 0, user, 0, 0, database, 0);
  send_message(0, body, (size_t)length + 1);
  char message[MESSAGE];
  for (char type; (type = read_message(message)) != 'Z';) {
    if (type != 'R') continue;
    uint32_t code = code_of(message);
    if (code == 10) scram_first();
    else if (code == 11) scram_final(message + 4, password);
    else if (code == 12 && strcmp(message + 4, signature) != 0) fail("the server does not know the password");
    else if (code != 0 && code != 12) fail("not SCRAM-SHA-256");
  }
}

static int has_row(const char *query) {
  send_message('Q', query, strlen(query) + 1);
  char message[MESSAGE];
  int rows = 0;
  for (char type; (type = read_message(message)) != 'Z';) rows += type == 'D';
  return rows > 0;
}

int main(int count, char **arg) {
  if (count != 7) fail("usage: floor HOST PORT USER PASSWORD DATABASE QUERY");
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(arg[2]))};
  int yes = 1;
  server = socket(AF_INET, SOCK_STREAM, 0);
  if (inet_pton(AF_INET, arg[1], &address.sin_addr) != 1) fail("HOST is no IPv4 address");
  if (connect(server, (struct sockaddr *)&address, sizeof address) != 0) fail("nobody listens");
  setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  log_in(arg[3], arg[4], arg[5]);
  return has_row(arg[6]) ? 0 : 1;
}
