package certificate

import (
	"encoding/json"
	"fmt"
	"os"
)

// Kept returns the facts of all certificates of the set that a gateway keeps in
// path, its keys left alone. A file that is not there is an fs.ErrNotExist.
func Kept(path string) ([]Facts, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var set struct {
		Pairs []struct {
			Chain []byte   `json:"chain"`
			Names []string `json:"names"`
		} `json:"pairs"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, fmt.Errorf("read kept certificates %s: %w", path, err)
	}
	var all []Facts
	for _, p := range set.Pairs {
		f, err := Read(p.Chain)
		if err != nil {
			return nil, err
		}
		if len(p.Names) > 0 {
			f.Names = p.Names
		}
		all = append(all, f)
	}
	return all, nil
}
