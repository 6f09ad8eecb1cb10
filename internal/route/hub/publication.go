package hub

import (
	"encoding/json"
	"fmt"
	"sync"

	"naru/internal/route"
	"naru/internal/route/certificate"
	"naru/internal/route/wire"
)

// publication is a table on its way. It is encoded once for all gateways, and
// only if one takes it.
type publication struct {
	table        route.Table
	certificates *certificate.Set // set: it is this that is on its way, and no table

	encode sync.Once
	frame  []byte
	err    error

	collect   sync.Once
	instances map[string]struct{}
}

// encoded returns the frame that carries the table.
func (p *publication) encoded() ([]byte, error) {
	p.encode.Do(func() {
		if p.certificates != nil {
			if p.frame, p.err = json.Marshal(&wire.Message{Certificates: p.certificates}); p.err != nil {
				p.err = fmt.Errorf("encode certificates %d: %w", p.certificates.Version, p.err)
			}
			return
		}
		table, err := json.Marshal(&p.table)
		if err == nil {
			p.frame, err = json.Marshal(&wire.Message{Table: table})
		}
		if err != nil {
			p.err = fmt.Errorf("encode table %d: %w", p.table.Version, err)
		}
	})
	return p.frame, p.err
}

// holds reports whether an instance takes new requests under the table.
func (p *publication) holds(instance string) bool {
	p.collect.Do(func() {
		p.instances = map[string]struct{}{}
		for in := range p.table.Instances {
			p.instances[in.ID] = struct{}{}
		}
	})
	_, ok := p.instances[instance]
	return ok
}
