// Sessions and the login.

#include "shim.h"

enum { MOST = 256 }; // sessions at once

#define CKF_RW_SESSION 0x2UL
#define CKU_USER 1UL
#define CKU_CONTEXT_SPECIFIC 2UL
#define CKS_RO_USER_FUNCTIONS 1UL
#define CKS_RW_USER_FUNCTIONS 3UL

typedef struct {
	CK_SLOT_ID slot;
	CK_ULONG state;
	CK_FLAGS flags;
	CK_ULONG device_error;
} CK_SESSION_INFO;

// alive is held for reading during each call in a session, and for writing while
// sessions come and go: SoftHSM 2.6 itself does not stand a last session that
// closes while another is opened.
static pthread_rwlock_t alive = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;
static struct session table[MOST];
static CK_ULONG serial;          // numbers the sessions, so that no handle comes twice
static cell epoch;               // numbers the deaths; object handles carry it
static cell deaths, logouts;     // what has been obeyed

static struct session *find(CK_SESSION_HANDLE handle) {
	struct session *s = &table[handle % MOST];
	return handle != 0 && s->handle == handle ? s : NULL;
}

// forget ends a session, which is counted in cause. alive is held for writing.
static CK_RV forget(struct session *s, cell *cause) {
	CK_RV rv = REAL(CloseSession)(s->real);
	memset(s, 0, sizeof *s);
	script->open--;
	(*cause)++;
	return rv;
}

static void forget_all(cell *cause) {
	for (int i = 0; i < MOST; i++)
		if (table[i].handle != 0)
			forget(&table[i], cause);
}

static struct session *any(void) {
	for (int i = 0; i < MOST; i++)
		if (table[i].handle != 0)
			return &table[i];
	return NULL;
}

void obey(void) {
	if (deaths == script->deaths && logouts == script->logouts)
		return;
	pthread_rwlock_wrlock(&alive);
	if (deaths != script->deaths) {
		deaths = script->deaths;
		forget_all(&script->died);
		epoch++;
	}
	if (logouts != script->logouts) {
		logouts = script->logouts;
		if (any() != NULL)
			ALONE(REAL(Logout)(any()->real));
	}
	pthread_rwlock_unlock(&alive);
}

CK_OBJECT_HANDLE object_out(CK_OBJECT_HANDLE object) { return object + (epoch << 32); }

CK_OBJECT_HANDLE object_in(CK_OBJECT_HANDLE object) {
	return object >> 32 == epoch ? object & 0xFFFFFFFF : 0;
}

CK_RV begin(int function, CK_SESSION_HANDLE handle, struct session **s) {
	CK_RV rv = enter(function);
	if (rv == CKR_SESSION_HANDLE_INVALID || rv == CKR_SESSION_CLOSED) { // as scripted, so it is true
		pthread_rwlock_wrlock(&alive);
		if (find(handle) != NULL)
			forget(find(handle), &script->died);
		pthread_rwlock_unlock(&alive);
	}
	if (rv != CKR_OK)
		return rv;
	pthread_rwlock_rdlock(&alive);
	*s = find(handle);
	if (*s == NULL) {
		pthread_rwlock_unlock(&alive);
		return script->removed ? CKR_DEVICE_REMOVED : CKR_SESSION_HANDLE_INVALID;
	}
	if (atomic_exchange(&(*s)->busy, 1))
		script->overlaps++;
	return CKR_OK;
}

CK_RV end(struct session *s, CK_RV rv) {
	s->busy = 0;
	pthread_rwlock_unlock(&alive);
	return rv;
}

static void count_open(void) {
	script->opened++;
	script->open++;
	if (script->most < script->open)
		script->most = (uint64_t)script->open;
}

static CK_RV open_one(CK_SLOT_ID slot, CK_FLAGS flags, CK_SESSION_HANDLE *handle) {
	int i = 1;
	while (i < MOST && table[i].handle != 0)
		i++;
	if (i == MOST || (script->session_limit > 0 && script->open >= script->session_limit))
		return CKR_SESSION_COUNT;
	CK_RV rv = ALONE(REAL(OpenSession)(slot_in(slot), flags, NULL, NULL, &table[i].real));
	if (rv != CKR_OK)
		return rv;
	*handle = table[i].handle = ++serial * MOST + i;
	table[i].slot = slot_in(slot);
	count_open();
	if (script->login_free) // the real token wants a login, so the shim has it made
		ALONE(REAL(Login)(table[i].real, CKU_USER, script->pin.bytes, (CK_ULONG)script->pin.size));
	return CKR_OK;
}

static CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, void *application, void *notify, CK_SESSION_HANDLE *handle) {
	(void)application, (void)notify;
	CK_RV rv = enter(OpenSession);
	if (rv == CKR_OK && script->removed)
		rv = CKR_TOKEN_NOT_PRESENT;
	if (rv == CKR_OK)
		rv = flags & CKF_RW_SESSION ? script->refuse_rw : script->refuse_ro;
	if (rv != CKR_OK)
		return rv;
	pthread_rwlock_wrlock(&alive);
	rv = open_one(slot, flags, handle);
	pthread_rwlock_unlock(&alive);
	return rv;
}

static CK_RV close_session(CK_SESSION_HANDLE handle) {
	struct session *s;
	CK_RV rv = begin(CloseSession, handle, &s);
	if (rv != CKR_OK)
		return rv;
	end(s, CKR_OK);
	pthread_rwlock_wrlock(&alive);
	s = find(handle);
	rv = s == NULL ? CKR_SESSION_HANDLE_INVALID : forget(s, &script->closed);
	pthread_rwlock_unlock(&alive);
	return rv;
}

static CK_RV close_all_sessions(CK_SLOT_ID slot) {
	CK_RV rv = enter(CloseAllSessions);
	if (rv != CKR_OK)
		return rv;
	pthread_rwlock_wrlock(&alive);
	for (int i = 0; i < MOST; i++)
		if (table[i].handle != 0 && table[i].slot == slot_in(slot))
			forget(&table[i], &script->closed);
	pthread_rwlock_unlock(&alive);
	return CKR_OK;
}

static CK_RV get_session_info(CK_SESSION_HANDLE handle, CK_SESSION_INFO *info) {
	struct session *s;
	CK_RV rv = begin(GetSessionInfo, handle, &s);
	if (rv != CKR_OK)
		return rv;
	rv = REAL(GetSessionInfo)(s->real, info);
	info->slot = slot_out(info->slot);
	if (rv == CKR_OK && script->login_free && (info->state == CKS_RO_USER_FUNCTIONS || info->state == CKS_RW_USER_FUNCTIONS))
		info->state--; // to a public session, which is all that such a token has
	return end(s, rv);
}

static int logged_in(struct session *s) {
	CK_SESSION_INFO info;
	return REAL(GetSessionInfo)(s->real, &info) == CKR_OK &&
	       (info.state == CKS_RO_USER_FUNCTIONS || info.state == CKS_RW_USER_FUNCTIONS);
}

// judge decides about a PIN as a token that counts wrong ones does.
static CK_RV judge(const char *pin, CK_ULONG size) {
	if (script->tries == 0)
		return CKR_OK;
	if (script->mistakes >= script->tries)
		return CKR_PIN_LOCKED;
	if (pin == NULL || size != script->pin.size || memcmp(pin, script->pin.bytes, size) != 0) {
		script->mistakes++;
		return CKR_PIN_INCORRECT;
	}
	script->mistakes = 0;
	return CKR_OK;
}

static CK_RV login(CK_SESSION_HANDLE handle, CK_ULONG user, char *pin, CK_ULONG size) {
	struct session *s;
	CK_RV rv = begin(Login, handle, &s);
	if (rv != CKR_OK)
		return rv;
	(*(user == CKU_CONTEXT_SPECIFIC ? &script->context_logins : &script->user_logins))++;
	if (script->login_free)
		return end(s, CKR_FUNCTION_FAILED);
	if (pin == NULL) {
		script->empty_pins++;
		if (script->pin_pad) {
			pin = script->pin.bytes;
			size = script->pin.size;
		}
	}
	if (user == CKU_CONTEXT_SPECIFIC || !logged_in(s)) // else the real module answers, whatever the PIN is
		rv = judge(pin, size);
	return end(s, rv != CKR_OK ? rv : ALONE(REAL(Login)(s->real, user, pin, size)));
}

static CK_RV logout(CK_SESSION_HANDLE handle) {
	struct session *s;
	CK_RV rv = begin(Logout, handle, &s);
	return rv != CKR_OK ? rv : end(s, ALONE(REAL(Logout)(s->real)));
}

static CK_RV finalize(void *reserved) {
	CK_RV rv = enter(Finalize);
	if (rv != CKR_OK)
		return rv;
	pthread_rwlock_wrlock(&alive);
	forget_all(&script->closed);
	rv = REAL(Finalize)(reserved);
	pthread_rwlock_unlock(&alive);
	return rv;
}

void session_functions(CK_FUNCTION_LIST *list) {
	list->functions[OpenSession] = open_session;
	list->functions[CloseSession] = close_session;
	list->functions[CloseAllSessions] = close_all_sessions;
	list->functions[GetSessionInfo] = get_session_info;
	list->functions[Login] = login;
	list->functions[Logout] = logout;
	list->functions[Finalize] = finalize;
}
