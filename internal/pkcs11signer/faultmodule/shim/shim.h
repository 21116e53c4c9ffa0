// The shim is a PKCS#11 module that passes every call on to another module,
// but for the faults that a script asks for. The script is a file that the shim
// and the test map into their memory; package faultmodule has the other half of
// it and says what each of its fields means.

#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

// PKCS#11 2.40, as far as the shim looks into it.

typedef unsigned char CK_BYTE;
typedef unsigned long CK_RV, CK_ULONG, CK_FLAGS, CK_SLOT_ID, CK_SESSION_HANDLE, CK_OBJECT_HANDLE;

typedef struct {
	CK_ULONG type;
	void *value;
	CK_ULONG size;
} CK_ATTRIBUTE;

typedef struct {
	CK_BYTE version[2];
	void *functions[68]; // in the fixed order of pkcs11f.h
} CK_FUNCTION_LIST;

enum { // places in the function list
	Initialize, Finalize, GetInfo, GetFunctionList, GetSlotList, GetSlotInfo, GetTokenInfo, GetMechanismList,
	GetMechanismInfo, OpenSession = 12, CloseSession, CloseAllSessions, GetSessionInfo, Login = 18, Logout,
	CreateObject, DestroyObject = 22, GetAttributeValue = 24, SetAttributeValue, FindObjectsInit, FindObjects,
	FindObjectsFinal, SignInit = 42, Sign, GenerateKeyPair = 59,
};

#define CKR_OK 0x0UL
#define CKR_HOST_MEMORY 0x2UL
#define CKR_GENERAL_ERROR 0x5UL
#define CKR_FUNCTION_FAILED 0x6UL
#define CKR_DEVICE_REMOVED 0x32UL
#define CKR_FUNCTION_NOT_SUPPORTED 0x54UL
#define CKR_KEY_HANDLE_INVALID 0x60UL
#define CKR_OBJECT_HANDLE_INVALID 0x82UL
#define CKR_PIN_INCORRECT 0xA0UL
#define CKR_PIN_LOCKED 0xA4UL
#define CKR_SESSION_CLOSED 0xB0UL
#define CKR_SESSION_COUNT 0xB1UL
#define CKR_SESSION_HANDLE_INVALID 0xB3UL
#define CKR_TOKEN_NOT_PRESENT 0xE0UL
#define CKR_BUFFER_TOO_SMALL 0x150UL

// The script. Its layout is that of the type Script of package faultmodule.

typedef _Atomic uint64_t cell;

struct call {
	cell count, skip, times, rv, delay, hold, held;
};

struct text {
	cell size;
	char bytes[256];
};

struct answer {
	cell kind, type, class, rv;
	struct text value;
};

enum { NO_ANSWER, WITHHELD, REPLACED, UNWRAPPED }; // kinds of answers

struct script {
	struct call calls[68];
	struct answer answers[16];
	cell open, most, opened, closed, died, overlaps;
	cell signatures, user_logins, context_logins, empty_pins, mistakes, init_flags;
	cell deaths, logouts, removed, slot_shift;
	cell session_limit, refuse_ro, refuse_rw;
	cell set_flags, clear_flags, max_sessions, nul_padded, silent_rv;
	cell tries, pin_pad, login_free;
	cell hidden_classes, corrupt, shorten, no_list, holes;
	struct text pin, silent, init_args, description, store;
};

_Static_assert(sizeof(struct script) == SCRIPT_SIZE, "shim.h and script.go differ");

// shim.c: the faults that any call can have.

extern struct script *script;
extern CK_FUNCTION_LIST real;

// REAL calls a function of the real module. Its arguments are unsigned long or
// pointers, or CK_BBOOL, which C passes as it passes an int.
#define REAL(name) ((CK_RV (*)())real.functions[name])

// ALONE is such a call that reads or writes the state of a token. SoftHSM guards
// its files with fcntl(2), which does not keep two copies of it in one process
// apart, so no other shim makes one meanwhile.
#define ALONE(call) ({ int lock = lock_store(); CK_RV result = (call); unlock_store(lock); result; })

int lock_store(void);
void unlock_store(int lock);

CK_RV enter(int function);  // counts and delays the call, and returns its scripted fault
int take(cell *times);      // counts down; false at zero

// token.c

CK_SLOT_ID slot_in(CK_SLOT_ID slot);
CK_SLOT_ID slot_out(CK_SLOT_ID slot);

// session.c: handles of its own, so that sessions can die.

struct session {
	CK_SESSION_HANDLE handle, real;
	CK_SLOT_ID slot;
	cell busy;
};

void obey(void);                                                   // lets sessions die as the script says
CK_RV begin(int function, CK_SESSION_HANDLE, struct session **s);  // as enter; then the session cannot die until
CK_RV end(struct session *s, CK_RV rv);                            // this, which returns rv
CK_OBJECT_HANDLE object_in(CK_OBJECT_HANDLE);                      // 0 for a handle from before the last death
CK_OBJECT_HANDLE object_out(CK_OBJECT_HANDLE);

// Each file puts its functions into the list.
void token_functions(CK_FUNCTION_LIST *);
void session_functions(CK_FUNCTION_LIST *);
void object_functions(CK_FUNCTION_LIST *);
