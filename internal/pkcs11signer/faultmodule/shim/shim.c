// The module's life: loading, the function list, C_Initialize, and the faults
// that any call can have.

#include "shim.h"
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

struct script *script;
CK_FUNCTION_LIST real;
static CK_FUNCTION_LIST list;

// beside writes the path of a file in the shim's own directory.
static void beside(char *path, size_t size, const char *name) {
	Dl_info self;
	dladdr((void *)beside, &self);
	snprintf(path, size, "%.*s/%s", (int)(strrchr(self.dli_fname, '/') - self.dli_fname), self.dli_fname, name);
}

static void map_script(void) {
	char path[4096];
	void *map = MAP_FAILED;
	beside(path, sizeof path, "script");
	int file = open(path, O_RDWR | O_CLOEXEC);
	if (file >= 0)
		map = mmap(NULL, sizeof *script, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	close(file);
	script = map == MAP_FAILED ? NULL : map;
}

// load_real loads the real module from a file of the shim's own, so that no
// other user of that module in this process shares its sessions and its login.
static CK_RV load_real(void) {
	char path[4096];
	CK_RV (*get)(CK_FUNCTION_LIST **);
	CK_FUNCTION_LIST *functions;
	beside(path, sizeof path, "real.so");
	void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (lib == NULL)
		return CKR_GENERAL_ERROR;
	*(void **)&get = dlsym(lib, "C_GetFunctionList");
	CK_RV rv = get(&functions);
	if (rv == CKR_OK)
		real = *functions;
	return rv;
}

int lock_store(void) {
	int lock = open(script->store.bytes, O_RDONLY | O_CLOEXEC);
	flock(lock, LOCK_EX);
	return lock;
}

void unlock_store(int lock) { close(lock); }

int take(cell *times) {
	uint64_t left = *times;
	while (left > 0)
		if (atomic_compare_exchange_weak(times, &left, left - 1))
			return 1;
	return 0;
}

static CK_RV scripted(struct call *c) {
	static pthread_mutex_t counting = PTHREAD_MUTEX_INITIALIZER;
	CK_RV rv = CKR_OK;
	pthread_mutex_lock(&counting);
	if (c->times > 0 && !take(&c->skip) && take(&c->times))
		rv = c->rv;
	pthread_mutex_unlock(&counting);
	return rv;
}

CK_RV enter(int function) {
	struct call *c = &script->calls[function];
	c->count++;
	if (c->delay > 0)
		usleep(c->delay);
	c->held++;
	while (c->hold)
		usleep(1000);
	c->held--;
	obey();
	return scripted(c);
}

static CK_RV unsupported(void) { return CKR_FUNCTION_NOT_SUPPORTED; }

typedef struct {
	void *locking[4];
	CK_FLAGS flags;
	char *reserved;
} CK_C_INITIALIZE_ARGS;

static CK_RV initialize(CK_C_INITIALIZE_ARGS *args) {
	CK_RV rv = enter(Initialize);
	if (rv != CKR_OK)
		return rv;
	char *reserved = args == NULL ? NULL : args->reserved;
	if (reserved != NULL) {
		strncpy(script->init_args.bytes, reserved, sizeof script->init_args.bytes - 1);
		script->init_args.size = strlen(script->init_args.bytes);
		args->reserved = NULL; // the real module wants none
	}
	script->init_flags = args == NULL ? 0 : args->flags;
	rv = ALONE(REAL(Initialize)(args));
	if (reserved != NULL)
		args->reserved = reserved;
	return rv;
}

typedef struct {
	CK_BYTE version[2], manufacturer[32];
	CK_FLAGS flags;
	char description[32];
	CK_BYTE library[2];
} CK_INFO;

static CK_RV get_info(CK_INFO *info) {
	CK_RV rv = enter(GetInfo);
	if (rv == CKR_OK)
		rv = REAL(GetInfo)(info);
	if (rv == CKR_OK && script->description.size > 0) {
		memset(info->description, ' ', sizeof info->description);
		memcpy(info->description, script->description.bytes, script->description.size);
	}
	return rv;
}

static void fill_list(void) {
	list = real;
	for (int i = 0; i < 68; i++)
		list.functions[i] = unsupported;
	list.functions[Initialize] = initialize;
	list.functions[GetInfo] = get_info;
	token_functions(&list);
	session_functions(&list);
	object_functions(&list);
	for (int i = 0; i < 64; i++)
		if (script->holes >> i & 1)
			list.functions[i] = NULL;
}

__attribute__((visibility("default"))) CK_RV C_GetFunctionList(CK_FUNCTION_LIST **out) {
	static pthread_once_t mapped = PTHREAD_ONCE_INIT;
	pthread_once(&mapped, map_script);
	if (script == NULL)
		return CKR_HOST_MEMORY;
	CK_RV rv = enter(GetFunctionList);
	if (rv == CKR_OK && real.functions[Initialize] == NULL) {
		rv = load_real();
		if (rv == CKR_OK)
			fill_list();
	}
	if (rv == CKR_OK)
		*out = script->no_list ? NULL : &list;
	return rv;
}
