// direct signs with a PKCS#11 module as a C program does: with the module's own
// functions and nothing around them. It is what signgate is measured against.
//
//	direct cold|serve MODULE TOKEN OBJECT DIGEST
//
// cold makes one signature and answers; serve reads lines "THREADS MILLISECONDS"
// and answers each. The digest is hexadecimal, the PIN is in SIGNGATE_PKCS11_PIN.
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

typedef unsigned long ulong_t; // CK_ULONG, and every handle

enum { most_threads = 64, most_slots = 64, label_size = 32 };
enum { CKF_OS_LOCKING_OK = 2, CKF_SERIAL_SESSION = 4, CKU_USER = 1, CKM_ECDSA = 0x1041 };
enum { CKA_CLASS = 0, CKA_LABEL = 3, CKO_PRIVATE_KEY = 3 };

// The places of functions in CK_FUNCTION_LIST (PKCS#11 2.40, pkcs11f.h).
enum {
	INITIALIZE = 0, GET_SLOT_LIST = 4, GET_TOKEN_INFO = 6, OPEN_SESSION = 12, LOGIN = 18,
	FIND_OBJECTS_INIT = 26, FIND_OBJECTS = 27, FIND_OBJECTS_FINAL = 28, SIGN_INIT = 42, SIGN = 43
};

struct function_list { unsigned char version[2]; ulong_t (*functions[68])(); };
struct initialize_args { void *functions[4]; ulong_t flags; void *reserved; };
struct attribute { ulong_t type; const void *value; ulong_t size; };
struct mechanism { ulong_t type; void *parameter; ulong_t size; };

static struct function_list *module;
static ulong_t slot;
static unsigned char digest[32];

// signer is one session with what it is asked for and what it did.
struct signer {
	ulong_t session, key;
	long long until;
	long count;
	unsigned char signature[64];
};

static void check(ulong_t rv, const char *call) {
	if (rv == 0) return;
	fprintf(stderr, "direct: %s returned 0x%lX\n", call, rv);
	exit(1);
}

#define CALL(place, ...) check(module->functions[place](__VA_ARGS__), #place)

static long long now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static long long cpu(void) {
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000LL + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000LL;
}

// load starts the module. RTLD_LAZY is what most programs use, and the cheaper.
static void load(const char *path) {
	struct initialize_args args = {.flags = CKF_OS_LOCKING_OK};
	ulong_t (*get)(struct function_list **);
	void *lib = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
	if (lib == NULL || (*(void **)&get = dlsym(lib, "C_GetFunctionList")) == NULL) {
		fprintf(stderr, "direct: %s\n", dlerror());
		exit(1);
	}
	check(get(&module), "C_GetFunctionList");
	CALL(INITIALIZE, &args);
}

// find_token sets slot: SoftHSM draws the numbers of its slots by lot.
static void find_token(const char *token) {
	ulong_t slots[most_slots], info[64], count = most_slots, i; // CK_TOKEN_INFO begins with the label
	char label[label_size + 1];
	snprintf(label, sizeof label, "%-*s", label_size, token);
	CALL(GET_SLOT_LIST, (unsigned char)1, slots, &count);
	for (i = 0; i < count; i++) {
		slot = slots[i];
		CALL(GET_TOKEN_INFO, slot, info);
		if (memcmp(info, label, label_size) == 0) return;
	}
	fprintf(stderr, "direct: there is no token %s\n", token);
	exit(1);
}

static ulong_t open_session(void) {
	ulong_t session;
	CALL(OPEN_SESSION, slot, (ulong_t)CKF_SERIAL_SESSION, NULL, NULL, &session);
	return session;
}

static ulong_t find_key(ulong_t session, const char *object) {
	ulong_t class = CKO_PRIVATE_KEY, key, count;
	struct attribute template[] = {{CKA_CLASS, &class, sizeof class}, {CKA_LABEL, object, strlen(object)}};
	CALL(FIND_OBJECTS_INIT, session, template, 2UL);
	CALL(FIND_OBJECTS, session, &key, 1UL, &count);
	CALL(FIND_OBJECTS_FINAL, session);
	if (count == 1) return key;
	fprintf(stderr, "direct: there is no key %s\n", object);
	exit(1);
}

// first opens the first session, in which the user logs in for all of them.
static struct signer first(char **argv) {
	const char *pin = getenv("SIGNGATE_PKCS11_PIN");
	struct signer s = {0};
	load(argv[2]);
	find_token(argv[3]);
	s.session = open_session();
	CALL(LOGIN, s.session, (ulong_t)CKU_USER, pin, (ulong_t)strlen(pin));
	s.key = find_key(s.session, argv[4]);
	return s;
}

static void sign(struct signer *s) {
	struct mechanism ecdsa = {CKM_ECDSA, NULL, 0};
	ulong_t size = sizeof s->signature;
	CALL(SIGN_INIT, s->session, &ecdsa, s->key);
	CALL(SIGN, s->session, digest, (ulong_t)sizeof digest, s->signature, &size);
	s->count++;
}

static void *sign_until(void *p) {
	struct signer *s = p;
	do sign(s); while (now() < s->until);
	return NULL;
}

static void answer(long count, long long wall, long long cpu, const unsigned char *signature) {
	printf("{\"count\":%ld,\"wall\":%lld,\"cpu\":%lld,\"signature\":\"", count, wall, cpu);
	for (int i = 0; i < 64; i++) printf("%02x", signature[i]);
	printf("\"}\n");
	fflush(stdout);
}

// run signs in several threads at once, each with a session of its own.
static void run(struct signer *all, int threads, int milliseconds) {
	pthread_t thread[most_threads];
	long long start = now(), used = cpu();
	long count = 0;
	int i;
	for (i = 0; i < threads; i++) {
		if (all[i].session == 0) all[i] = (struct signer){.session = open_session(), .key = all[0].key};
		all[i].until = start + milliseconds * 1000000LL;
		all[i].count = 0;
		check(pthread_create(&thread[i], NULL, sign_until, &all[i]), "pthread_create");
	}
	for (i = 0; i < threads; i++) {
		pthread_join(thread[i], NULL);
		count += all[i].count;
	}
	answer(count, now() - start, cpu() - used, all[threads - 1].signature);
}

int main(int argc, char **argv) {
	struct signer all[most_threads] = {0};
	long long start = now(), used = cpu();
	int threads, milliseconds, i;
	if (argc != 6 || strlen(argv[5]) != 2 * sizeof digest || getenv("SIGNGATE_PKCS11_PIN") == NULL) return 2;
	for (i = 0; i < (int)sizeof digest; i++) sscanf(argv[5] + 2 * i, "%2hhx", &digest[i]);
	all[0] = first(argv);
	if (strcmp(argv[1], "cold") == 0) {
		sign(&all[0]);
		answer(1, now() - start, cpu() - used, all[0].signature);
		return 0;
	}
	while (scanf("%d %d", &threads, &milliseconds) == 2 && threads > 0 && threads <= most_threads) run(all, threads, milliseconds);
	return 0;
}
