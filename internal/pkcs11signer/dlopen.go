//go:build linux && cgo

package pkcs11signer

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

// The head of CK_FUNCTION_LIST (PKCS#11 2.40, pkcs11f.h): a version and then
// the functions in their fixed order.
struct function_list {
	unsigned char version[2];
	void *functions[60];
};

// The functions that signing calls: Initialize, GetInfo, GetSlotList,
// GetSlotInfo, GetTokenInfo, OpenSession, CloseSession, GetSessionInfo, Login,
// GetAttributeValue, FindObjectsInit, FindObjects, FindObjectsFinal, SignInit,
// Sign.
static const int used[] = {0, 2, 4, 5, 6, 12, 13, 15, 18, 24, 26, 27, 28, 42, 43};

// The functions of doctor and of key generate: GetMechanismInfo, DestroyObject,
// GenerateKeyPair.
static const int extra[] = {8, 22, 59};

static int has(struct function_list *list, const int *which, size_t n) {
	size_t i;
	for (i = 0; i < n; i++)
		if (list->functions[which[i]] == NULL) return 0;
	return 1;
}

enum { GOOD, NOT_LOADED, NO_SYMBOL, CALL_FAILED, NO_LIST, INCOMPLETE };

// probe loads path with all its symbols and asks it for its function list. The
// library stays loaded. On NOT_LOADED *text is the loader's message, to be
// freed. *more tells whether the extra functions are there.
static int probe(const char *path, char **text, unsigned long *rv, int *more) {
	unsigned long (*get)(struct function_list **);
	struct function_list *list = NULL;
	void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (lib == NULL) {
		const char *e = dlerror();
		*text = strdup(e != NULL ? e : "unknown error of the loader");
		return NOT_LOADED;
	}
	*(void **)&get = dlsym(lib, "C_GetFunctionList");
	if (get == NULL) return NO_SYMBOL;
	*rv = get(&list);
	if (*rv == 0) *rv = get(&list); // the binding asks again, and ignores the answer
	if (*rv != 0) return CALL_FAILED;
	if (list == NULL) return NO_LIST;
	*more = has(list, extra, sizeof extra / sizeof extra[0]);
	return has(list, used, sizeof used / sizeof used[0]) ? GOOD : INCOMPLETE;
}

static int loadable(const char *lib) {
	return dlopen(lib, RTLD_LAZY | RTLD_LOCAL) != NULL;
}
*/
import "C"

import (
	"strings"
	"unsafe"

	"github.com/miekg/pkcs11"
)

// probe loads the module and checks everything that pkcs11.New takes for
// granted and would crash on. It returns whether the functions that only doctor
// and key generate need are there.
func probe(path string) (complete bool, err error) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	var text *C.char
	var rv C.ulong
	var more C.int
	const next = "give the path of the vendor's PKCS#11 library"
	switch C.probe(name, &text, &rv, &more) {
	case C.NOT_LOADED:
		defer C.free(unsafe.Pointer(text))
		return false, notLoaded(path, C.GoString(text))
	case C.NO_SYMBOL:
		return false, unusable(path, next, "it has no function C_GetFunctionList, so it is not a PKCS#11 library")
	case C.CALL_FAILED:
		return false, unusable(path, "check the module's own configuration", "its C_GetFunctionList returned %s", rvName(pkcs11.Error(rv)))
	case C.NO_LIST:
		return false, unusable(path, next, "its C_GetFunctionList returned no list")
	case C.INCOMPLETE:
		return false, unusable(path, next, "its function list lacks functions that signing needs")
	}
	return more != 0, nil
}

func notLoaded(path, text string) error {
	if absent := missing(path); len(absent) > 0 {
		return unusable(path, "add the packages that have them, or use the signgate container image",
			"it needs %s, absent from this system (%s)", strings.Join(absent, ", "), text)
	}
	next := "check that the vendor's package is complete and made for this system"
	if strings.Contains(text, "GLIBC_") {
		next = "use a system with a newer glibc, or the vendor's package for this one"
	}
	return unusable(path, next, "%s", text)
}

func loadable(lib string) bool {
	name := C.CString(lib)
	defer C.free(unsafe.Pointer(name))
	return C.loadable(name) != 0
}

// reserved returns text as C_Initialize takes it. It is never freed, because a
// module may keep it.
func reserved(text string) unsafe.Pointer { return unsafe.Pointer(C.CString(text)) }
