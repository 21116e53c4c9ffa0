package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// contenderVerb makes this program a contender: NAME follows, and WHERE, which is
// the module or, for the remote one, the socket.
const contenderVerb = "contender"

// message is what is signed: of the size of a payload.
var message = []byte(`{"critical":{"identity":{"docker-reference":"registry.example/app"},"image":{"docker-manifest-digest":` +
	`"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},"type":"cosign container image signature"},"optional":null}`)

// cold is the contender that signs once and answers without being asked.
const cold = "cold"

// openers open the key, each in its way.
var openers = map[string]func(where string) (signing, error){
	"pool":     openPool,
	"remote":   openRemote,
	"guarded":  openGuarded,
	"mutex":    openMutex,
	"bare":     openBare,
	"crypto11": openCrypto11,
}

// contend is the process of a contender.
func contend(name, where string) int {
	err := func() error {
		if name == cold {
			return signCold(where, os.Stdout)
		}
		sign, err := openers[name](where)
		if err != nil {
			return err
		}
		return serve(os.Stdin, os.Stdout, sign)
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// signCold makes the first signature of this process.
func signCold(module string, out io.Writer) error {
	used, start := cpuTime(), time.Now()
	sign, err := openPool(module)
	if err != nil {
		return err
	}
	signature, err := sign(context.Background())
	s := sample{Count: 1, Wall: time.Since(start), CPU: cpuTime() - used, Signature: signature}
	return errors.Join(err, json.NewEncoder(out).Encode(s))
}

// serve answers lines "CALLERS MILLISECONDS" until there are no more.
func serve(in io.Reader, out io.Writer, sign signing) error {
	for {
		var n, milliseconds int
		if _, err := fmt.Fscan(in, &n, &milliseconds); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		s, err := during(time.Duration(milliseconds)*time.Millisecond, n, sign)
		if err != nil {
			return err
		}
		if err := json.NewEncoder(out).Encode(s); err != nil {
			return err
		}
	}
}

// hexBytes is hexadecimal in JSON, as the C program writes it.
type hexBytes []byte

func (b hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(b)), nil }

func (b *hexBytes) UnmarshalText(text []byte) (err error) {
	*b, err = hex.DecodeString(string(text))
	return err
}
