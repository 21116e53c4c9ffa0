// Objects, their attributes, and signatures.

#include "shim.h"

#define CKA_CLASS 0x0UL

// class_of returns the class of a real object, which the real module knows.
static CK_ULONG class_of(struct session *s, CK_OBJECT_HANDLE object) {
	CK_ULONG class = ~0UL;
	CK_ATTRIBUTE a = {CKA_CLASS, &class, sizeof class};
	REAL(GetAttributeValue)(s->real, object, &a, 1UL);
	return class;
}

// scripted returns the script's answer for an attribute of an object, or NULL.
static struct answer *scripted(struct session *s, CK_OBJECT_HANDLE object, CK_ULONG type) {
	for (struct answer *a = script->answers; a < script->answers + 16; a++)
		if (a->kind != NO_ANSWER && a->type == type && a->class == class_of(s, object))
			return a;
	return NULL;
}

// serve gives a value as C_GetAttributeValue does.
static CK_RV serve(CK_ATTRIBUTE *a, const void *value, CK_ULONG size) {
	CK_ULONG room = a->size;
	a->size = size;
	if (a->value == NULL)
		return CKR_OK;
	if (room < size) {
		a->size = ~0UL;
		return CKR_BUFFER_TOO_SMALL;
	}
	memcpy(a->value, value, size);
	return CKR_OK;
}

// unwrap serves what is inside the DER OCTET STRING of the real answer.
static CK_RV unwrap(struct session *s, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *a) {
	CK_BYTE value[256];
	CK_ATTRIBUTE whole = {a->type, value, sizeof value};
	CK_RV rv = REAL(GetAttributeValue)(s->real, object, &whole, 1UL);
	if (rv != CKR_OK)
		return rv;
	CK_ULONG head = value[1] == 0x81 ? 3 : 2;
	return serve(a, value + head, whole.size - head);
}

static CK_RV get_one(struct session *s, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *a) {
	struct answer *fault = scripted(s, object, a->type);
	switch (fault == NULL ? NO_ANSWER : fault->kind) {
	case WITHHELD:
		a->size = ~0UL;
		return fault->rv;
	case REPLACED:
		return serve(a, fault->value.bytes, fault->value.size);
	case UNWRAPPED:
		return unwrap(s, object, a);
	}
	return REAL(GetAttributeValue)(s->real, object, a, 1UL);
}

static CK_RV get_attribute_value(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *list, CK_ULONG count) {
	struct session *s;
	CK_RV rv = begin(GetAttributeValue, handle, &s);
	if (rv != CKR_OK)
		return rv;
	object = object_in(object);
	if (object == 0)
		return end(s, CKR_OBJECT_HANDLE_INVALID);
	for (CK_ULONG i = 0; i < count; i++) {
		CK_RV one = get_one(s, object, &list[i]);
		rv = rv == CKR_OK ? one : rv;
	}
	return end(s, rv);
}

// replaced reports whether a search is for a value that the script made up, so
// that the real module cannot find it.
static int replaced(const CK_ATTRIBUTE *a) {
	for (struct answer *f = script->answers; f < script->answers + 16; f++)
		if (f->kind == REPLACED && f->type == a->type && f->value.size == a->size && memcmp(f->value.bytes, a->value, a->size) == 0)
			return 1;
	return 0;
}

static CK_RV find_objects_init(CK_SESSION_HANDLE handle, CK_ATTRIBUTE *template, CK_ULONG count) {
	struct session *s;
	CK_ATTRIBUTE kept[16];
	CK_ULONG n = 0;
	CK_RV rv = begin(FindObjectsInit, handle, &s);
	if (rv != CKR_OK)
		return rv;
	for (CK_ULONG i = 0; i < count && n < 16; i++)
		if (!replaced(&template[i]))
			kept[n++] = template[i];
	return end(s, REAL(FindObjectsInit)(s->real, kept, n));
}

// show leaves out the objects of hidden classes.
static CK_ULONG show(struct session *s, CK_OBJECT_HANDLE *objects, CK_ULONG count) {
	CK_ULONG n = 0;
	for (CK_ULONG i = 0; i < count; i++)
		if ((script->hidden_classes >> (class_of(s, objects[i]) & 63) & 1) == 0)
			objects[n++] = object_out(objects[i]);
	return n;
}

static CK_RV find_objects(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE *objects, CK_ULONG most, CK_ULONG *count) {
	struct session *s;
	CK_ULONG found;
	CK_RV rv = begin(FindObjects, handle, &s);
	if (rv != CKR_OK)
		return rv;
	do { // until there is something to show, because nothing means the end
		rv = REAL(FindObjects)(s->real, objects, most, count);
		found = *count;
		if (rv == CKR_OK)
			*count = show(s, objects, found);
	} while (rv == CKR_OK && found > 0 && *count == 0);
	return end(s, rv);
}

static CK_RV find_objects_final(CK_SESSION_HANDLE handle) {
	struct session *s;
	CK_RV rv = begin(FindObjectsFinal, handle, &s);
	return rv != CKR_OK ? rv : end(s, REAL(FindObjectsFinal)(s->real));
}

static CK_RV sign_init(CK_SESSION_HANDLE handle, void *mechanism, CK_OBJECT_HANDLE key) {
	struct session *s;
	CK_RV rv = begin(SignInit, handle, &s);
	if (rv != CKR_OK)
		return rv;
	key = object_in(key);
	return end(s, key == 0 ? CKR_KEY_HANDLE_INVALID : REAL(SignInit)(s->real, mechanism, key));
}

static CK_RV sign(CK_SESSION_HANDLE handle, CK_BYTE *data, CK_ULONG size, CK_BYTE *signature, CK_ULONG *count) {
	struct session *s;
	CK_RV rv = begin(Sign, handle, &s);
	if (rv != CKR_OK)
		return rv;
	rv = REAL(Sign)(s->real, data, size, signature, count);
	if (rv == CKR_OK && signature != NULL) {
		script->signatures++;
		if (take(&script->corrupt))
			signature[*count / 2] ^= 1;
		if (take(&script->shorten))
			(*count)--;
	}
	return end(s, rv);
}

// What follows has no faults of its own.

static CK_RV create_object(CK_SESSION_HANDLE handle, CK_ATTRIBUTE *list, CK_ULONG count, CK_OBJECT_HANDLE *object) {
	struct session *s;
	CK_RV rv = begin(CreateObject, handle, &s);
	if (rv != CKR_OK)
		return rv;
	rv = ALONE(REAL(CreateObject)(s->real, list, count, object));
	if (rv == CKR_OK)
		*object = object_out(*object);
	return end(s, rv);
}

static CK_RV destroy_object(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object) {
	struct session *s;
	CK_RV rv = begin(DestroyObject, handle, &s);
	return rv != CKR_OK ? rv : end(s, ALONE(REAL(DestroyObject)(s->real, object_in(object))));
}

static CK_RV set_attribute_value(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *list, CK_ULONG count) {
	struct session *s;
	CK_RV rv = begin(SetAttributeValue, handle, &s);
	return rv != CKR_OK ? rv : end(s, ALONE(REAL(SetAttributeValue)(s->real, object_in(object), list, count)));
}

static CK_RV generate_key_pair(CK_SESSION_HANDLE handle, void *mechanism, CK_ATTRIBUTE *public, CK_ULONG publics,
                               CK_ATTRIBUTE *private, CK_ULONG privates, CK_OBJECT_HANDLE *public_key, CK_OBJECT_HANDLE *private_key) {
	struct session *s;
	CK_RV rv = begin(GenerateKeyPair, handle, &s);
	if (rv != CKR_OK)
		return rv;
	rv = ALONE(REAL(GenerateKeyPair)(s->real, mechanism, public, publics, private, privates, public_key, private_key));
	if (rv == CKR_OK) {
		*public_key = object_out(*public_key);
		*private_key = object_out(*private_key);
	}
	return end(s, rv);
}

void object_functions(CK_FUNCTION_LIST *list) {
	list->functions[GetAttributeValue] = get_attribute_value;
	list->functions[FindObjectsInit] = find_objects_init;
	list->functions[FindObjects] = find_objects;
	list->functions[FindObjectsFinal] = find_objects_final;
	list->functions[SignInit] = sign_init;
	list->functions[Sign] = sign;
	list->functions[CreateObject] = create_object;
	list->functions[DestroyObject] = destroy_object;
	list->functions[SetAttributeValue] = set_attribute_value;
	list->functions[GenerateKeyPair] = generate_key_pair;
}
