package vault

import (
	"encoding/json"
	"fmt"

	"naru/internal/operate/alarm"
	"naru/internal/secret"
)

// receiverKeys is the kind of sealed values that are the keys of receivers of alerts.
const receiverKeys Kind = "receiver"

// SealedKeys are the sealed keys of a receiver and what they belong to.
func SealedKeys(receiver, value string) Sealed {
	return Sealed{Host: receiver, Kind: receiverKeys, Value: value}
}

// OfReceiver reports whether the value is the keys of a receiver of alerts.
func (s Sealed) OfReceiver() bool { return s.App == "" && s.Kind == receiverKeys }

// keys is how they look before they are sealed.
type keys struct {
	URL   string `json:"url,omitempty"`
	Token string `json:"token,omitempty"`
}

// SealKeys seals the keys of a receiver.
func (v *Vault) SealKeys(receiver string, k alarm.Keys) (string, error) {
	text, err := json.Marshal(keys{k.URL.Reveal(), k.Token.Reveal()})
	if err != nil {
		return "", fmt.Errorf("write keys of receiver: %w", err)
	}
	sealed, err := v.ring().Seal(secret.New(string(text)), SealedKeys(receiver, "").Owner())
	if err != nil {
		return "", fmt.Errorf("seal keys of receiver: %w", err)
	}
	return sealed, nil
}

// OpenKeys opens the keys of a receiver.
func (v *Vault) OpenKeys(receiver, sealed string) (alarm.Keys, error) {
	text, err := v.open(sealed, SealedKeys(receiver, ""))
	if err != nil {
		return alarm.Keys{}, err
	}
	var k keys
	if json.Unmarshal([]byte(text.Reveal()), &k) != nil { // its error could quote them
		return alarm.Keys{}, fmt.Errorf("the keys of receiver %s cannot be read", receiver)
	}
	return alarm.Keys{URL: secret.New(k.URL), Token: secret.New(k.Token)}, nil
}
