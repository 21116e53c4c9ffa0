package cli

import (
	"context"
	"encoding/pem"
	"io"
	"slices"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/report"
	"github.com/signgate/signgate/internal/signer"
)

// openKeys opens the key of each line of the input key, checks the pins and
// guards the keys. Close what it returns, also after an error.
func (r *run) openKeys(ctx context.Context) (keys []*signer.Signer, closer func(), err error) {
	var open []io.Closer
	closer = func() {
		for _, c := range open {
			if err := c.Close(); err != nil { // what was signed stands
				r.warn("a key backend was not left as it should be: " + err.Error())
			}
		}
	}
	uris := r.lines("key")
	if len(uris) == 0 {
		uris = []string{""} // for ParseURI to refuse
	}
	for _, raw := range uris {
		key, err := r.openKey(ctx, raw)
		if err != nil {
			return nil, closer, err
		}
		if c, ok := key.(io.Closer); ok {
			open = append(open, c)
		}
		s, err := signer.Guard(key, r.keyRetry())
		if err != nil {
			return nil, closer, err
		}
		if slices.ContainsFunc(keys, func(k *signer.Signer) bool { return k.Fingerprint() == s.Fingerprint() }) {
			return nil, closer, fault.Configf("inputs_contradict", "remove one of its lines", "the key %s is given twice", s.ID())
		}
		keys = append(keys, s)
	}
	return keys, closer, signer.CheckPins(keys, r.list("expected-key"))
}

// describeKeys puts the keys of the run into the report and warns of readers
// that cannot verify with them.
func (r *run) describeKeys(keys []*signer.Signer) error {
	for _, k := range keys {
		text, err := publicPEM(k)
		if err != nil {
			return err
		}
		key := report.Key{ID: k.ID(), Type: signer.KeyType(k.Public()), Fingerprint: k.Fingerprint(), PublicKey: text}
		if c, told := k.Custody(); told {
			key.Custody = &c
		}
		r.report.Keys = append(r.report.Keys, key)
		if w := envelope.ReaderWarning(k.Public()); w != "" {
			r.warn(w)
		}
	}
	return nil
}

func publicPEM(k *signer.Signer) (string, error) {
	der, err := signer.MarshalPublicKey(k.Public())
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), err
}
