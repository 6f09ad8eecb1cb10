package cf

import (
	"time"

	"naru/internal/app"
	"naru/internal/auth"
)

type processInput struct {
	Command *string `json:"command"`
	Health  *struct {
		Type string `json:"type"`
		Data struct {
			Endpoint string `json:"endpoint"`
			Timeout  *int   `json:"timeout"`
		} `json:"data"`
	} `json:"health_check"`
}

// changeProcess edits the draft; instances have the change when they are next
// started.
func (d *Door) changeProcess(c *call) error {
	p, _, err := d.process(c, auth.AppConfigure)
	if err != nil {
		return err
	}
	var in processInput
	if err := c.decode(&in); err != nil {
		return err
	}
	o := p.of.Draft.Processes[p.Type]
	if in.Command != nil {
		o.Command = *in.Command
	}
	if h := in.Health; h != nil {
		switch o.Check, o.Path = app.CheckType(h.Type), ""; o.Check {
		case app.CheckHTTP:
			o.Path = h.Data.Endpoint
		case app.CheckPort, app.CheckProcess:
		default:
			return unprocessable.saying("Health check type must be \"port\", \"process\", or \"http\"")
		}
		if t := h.Data.Timeout; t != nil {
			o.StartTimeout = app.Duration(time.Duration(*t) * time.Second)
		}
	}
	if _, err := d.Drafts.SetProcesses(c.ctx(), c.by(), p.of.ID, map[string]app.Overrides{p.Type: o}); err != nil {
		return err
	}
	if p, v, err := d.process(c, auth.SpaceRead); err == nil {
		return c.sendProcess(200, p, v)
	}
	return err
}

// scale changes how many instances there are, at once, and what each may take,
// from the next start.
func (d *Door) scale(c *call) error {
	p, _, err := d.process(c, auth.AppOperate)
	if err != nil {
		return err
	}
	var in struct {
		Instances *int `json:"instances"`
		MemoryMiB *int `json:"memory_in_mb"`
		DiskMiB   *int `json:"disk_in_mb"`
		LogRate   *int `json:"log_rate_limit_in_bytes_per_second"`
	}
	if err := c.decode(&in); err != nil {
		return err
	}
	if in.LogRate != nil && *in.LogRate != -1 {
		return unprocessable.saying("naru limits logs for all apps alike (logs.rate), not app by app")
	}
	for name, n := range map[string]*int{"Memory in mb": in.MemoryMiB, "Disk in mb": in.DiskMiB} {
		if n != nil && *n <= 0 {
			return unprocessable.saying(name + " must be greater than 0")
		}
	}
	if in.MemoryMiB != nil || in.DiskMiB != nil {
		if _, err := d.app(c, string(p.of.ID), auth.AppConfigure); err != nil {
			return err
		}
		o := p.of.Draft.Processes[p.Type]
		set(&o.MemoryMiB, in.MemoryMiB)
		set(&o.DiskMiB, in.DiskMiB)
		if _, err := d.Drafts.SetProcesses(c.ctx(), c.by(), p.of.ID, map[string]app.Overrides{p.Type: o}); err != nil {
			return err
		}
	}
	if in.Instances != nil && *in.Instances != p.of.Count(p.Type) {
		op, err := d.Lifecycle.Scale(c.ctx(), c.by(), p.of.ID, map[string]int{p.Type: *in.Instances})
		if err != nil {
			return err
		}
		if err := d.seen(c.ctx(), op, "scale"); err != nil {
			return err
		}
	}
	p, v, err := d.process(c, auth.SpaceRead)
	if err != nil {
		return err
	}
	return c.sendProcess(202, p, v)
}

func set(to, from *int) {
	if from != nil {
		*to = *from
	}
}
