package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/miekg/pkcs11"

	"github.com/signgate/signgate/internal/pkcs11signer"
)

// openMutex signs with one session behind a mutex, through the same binding
// that signgate uses.
func openMutex(module string) (signing, error) {
	all, err := openSessions(module, 1)
	var mu sync.Mutex
	return func(context.Context) ([]byte, error) {
		mu.Lock()
		defer mu.Unlock()
		return all[0].sign()
	}, err
}

// openBare signs with as many sessions as signgate, and with nothing else of
// what signgate does: no deadline, no second attempt, no DER. It is what the
// binding and Go's runtime leave of the module's rate.
func openBare(module string) (signing, error) {
	all, err := openSessions(module, sessions)
	idle := make(chan session, sessions)
	for _, s := range all {
		idle <- s
	}
	return func(context.Context) ([]byte, error) {
		s := <-idle
		defer func() { idle <- s }()
		return s.sign()
	}, err
}

// session is an open session and the key's handle in it.
type session struct {
	api    *pkcs11.Ctx
	handle pkcs11.SessionHandle
	key    pkcs11.ObjectHandle
}

// openSessions opens sessions; the user logs in once, in the first, for all.
func openSessions(module string, n int) (all []session, err error) {
	api := pkcs11.New(module)
	if api == nil {
		return nil, errors.New(module + " does not load")
	}
	if err := api.Initialize(); err != nil {
		return nil, err
	}
	slot, err := findSlot(api)
	if err != nil {
		return nil, err
	}
	for range n {
		handle, err := api.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION)
		if err != nil {
			return nil, err
		}
		all = append(all, session{api: api, handle: handle})
	}
	if err := api.Login(all[0].handle, pkcs11.CKU_USER, os.Getenv(pkcs11signer.EnvPIN)); err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].key, err = all[i].find(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func findSlot(api *pkcs11.Ctx) (uint, error) {
	slots, err := api.GetSlotList(true)
	if err != nil {
		return 0, err
	}
	for _, slot := range slots {
		if info, err := api.GetTokenInfo(slot); err == nil && strings.TrimRight(info.Label, " ") == token {
			return slot, nil
		}
	}
	return 0, fmt.Errorf("there is no token %s", token)
}

func (s session) find() (pkcs11.ObjectHandle, error) {
	template := []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY), pkcs11.NewAttribute(pkcs11.CKA_LABEL, object)}
	if err := s.api.FindObjectsInit(s.handle, template); err != nil {
		return 0, err
	}
	found, _, err := s.api.FindObjects(s.handle, 1)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("there is no key %s", object)
	}
	if err := errors.Join(err, s.api.FindObjectsFinal(s.handle)); err != nil {
		return 0, err
	}
	return found[0], nil
}

func (s session) sign() ([]byte, error) {
	digest := sha256.Sum256(message)
	if err := s.api.SignInit(s.handle, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_ECDSA, nil)}, s.key); err != nil {
		return nil, err
	}
	return s.api.Sign(s.handle, digest[:])
}
