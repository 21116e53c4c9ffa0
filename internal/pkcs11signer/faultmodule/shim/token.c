// Slots and tokens, and what they say about themselves.

#include "shim.h"

typedef struct {
	CK_BYTE description[64], manufacturer[32];
	CK_FLAGS flags;
	CK_BYTE versions[4];
} CK_SLOT_INFO;

typedef struct {
	char label[32], manufacturer[32], model[16], serial[16];
	CK_FLAGS flags;
	CK_ULONG max_sessions, sessions, max_rw_sessions, rw_sessions, rest[6];
	CK_BYTE versions[4], time[16];
} CK_TOKEN_INFO;

#define CKF_TOKEN_PRESENT 0x1UL
#define CKF_LOGIN_REQUIRED 0x4UL
#define CKF_PROTECTED_AUTHENTICATION_PATH 0x100UL
#define CKF_USER_PIN_COUNT_LOW 0x10000UL
#define CKF_USER_PIN_FINAL_TRY 0x20000UL
#define CKF_USER_PIN_LOCKED 0x40000UL

CK_SLOT_ID slot_in(CK_SLOT_ID slot) { return slot - script->slot_shift; }
CK_SLOT_ID slot_out(CK_SLOT_ID slot) { return slot + script->slot_shift; }

static CK_RV get_slot_list(CK_BYTE present, CK_SLOT_ID *slots, CK_ULONG *count) {
	CK_RV rv = enter(GetSlotList);
	if (rv != CKR_OK)
		return rv;
	if (script->removed && present) {
		*count = 0;
		return CKR_OK;
	}
	rv = ALONE(REAL(GetSlotList)(present, slots, count));
	for (CK_ULONG i = 0; rv == CKR_OK && slots != NULL && i < *count; i++)
		slots[i] = slot_out(slots[i]);
	return rv;
}

static CK_RV get_slot_info(CK_SLOT_ID slot, CK_SLOT_INFO *info) {
	CK_RV rv = enter(GetSlotInfo);
	if (rv == CKR_OK)
		rv = REAL(GetSlotInfo)(slot_in(slot), info);
	if (rv == CKR_OK && script->removed)
		info->flags &= ~CKF_TOKEN_PRESENT;
	return rv;
}

// pin_flags are the flags of a token that counts wrong PINs.
static CK_FLAGS pin_flags(void) {
	uint64_t tries = script->tries, mistakes = script->mistakes;
	CK_FLAGS flags = 0;
	if (mistakes > 0)
		flags |= CKF_USER_PIN_COUNT_LOW;
	if (tries == mistakes + 1)
		flags |= CKF_USER_PIN_FINAL_TRY;
	if (tries <= mistakes)
		flags |= CKF_USER_PIN_LOCKED;
	return tries == 0 ? 0 : flags;
}

// pad_with_nul turns the padding of a text into NULs.
static void pad_with_nul(char *text, size_t size) {
	while (size > 0 && text[size - 1] == ' ')
		text[--size] = 0;
}

static void distort(CK_TOKEN_INFO *info) {
	info->flags |= pin_flags();
	if (script->pin_pad)
		info->flags |= CKF_PROTECTED_AUTHENTICATION_PATH;
	if (script->login_free)
		info->flags &= ~CKF_LOGIN_REQUIRED;
	info->flags = (info->flags & ~script->clear_flags) | script->set_flags;
	if (script->max_sessions > 0)
		info->max_sessions = info->max_rw_sessions = script->max_sessions;
	if (script->nul_padded) {
		pad_with_nul(info->label, sizeof info->label);
		pad_with_nul(info->serial, sizeof info->serial);
	}
}

// silent reports whether the script wants no answer from a token of this label.
static int silent(const char *label) {
	size_t size = script->silent.size;
	return script->silent_rv != CKR_OK && memcmp(label, script->silent.bytes, size) == 0 &&
	       (size == 0 || size == 32 || label[size] == ' ');
}

static CK_RV get_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *info) {
	CK_RV rv = enter(GetTokenInfo);
	if (rv != CKR_OK)
		return rv;
	if (script->removed)
		return CKR_TOKEN_NOT_PRESENT;
	rv = ALONE(REAL(GetTokenInfo)(slot_in(slot), info));
	if (rv != CKR_OK)
		return rv;
	if (silent(info->label))
		return script->silent_rv;
	distort(info);
	return CKR_OK;
}

static CK_RV get_mechanism_list(CK_SLOT_ID slot, CK_ULONG *mechanisms, CK_ULONG *count) {
	CK_RV rv = enter(GetMechanismList);
	return rv != CKR_OK ? rv : REAL(GetMechanismList)(slot_in(slot), mechanisms, count);
}

static CK_RV get_mechanism_info(CK_SLOT_ID slot, CK_ULONG mechanism, void *info) {
	CK_RV rv = enter(GetMechanismInfo);
	return rv != CKR_OK ? rv : REAL(GetMechanismInfo)(slot_in(slot), mechanism, info);
}

void token_functions(CK_FUNCTION_LIST *list) {
	list->functions[GetSlotList] = get_slot_list;
	list->functions[GetSlotInfo] = get_slot_info;
	list->functions[GetTokenInfo] = get_token_info;
	list->functions[GetMechanismList] = get_mechanism_list;
	list->functions[GetMechanismInfo] = get_mechanism_info;
}
