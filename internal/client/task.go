package client

import (
	"context"
	"net/http"
	"time"
)

// Task is one run of one command in an app's release.
type Task struct {
	ID        string    `json:"id"`
	Number    int       `json:"number" doc:"1, 2, ... per app"`
	Name      string    `json:"name"`
	State     string    `json:"state" enum:"pending,running,succeeded,failed,canceled"`
	Command   []string  `json:"command"`
	Release   int       `json:"release,omitempty" doc:"number of the release it runs in"`
	MemoryMiB int       `json:"memory_mib"`
	DiskMiB   int       `json:"disk_mib"`
	ExitCode  int       `json:"exit_code" doc:"once it ended"`
	Reason    string    `json:"reason,omitempty" doc:"why it failed"`
	By        string    `json:"by" doc:"who asked"`
	CreatedAt time.Time `json:"created_at"`
	StartedAt time.Time `json:"started_at,omitzero"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
}

// Ended reports that nothing more will happen.
func (t Task) Ended() bool {
	return t.State == "succeeded" || t.State == "failed" || t.State == "canceled"
}

// NewTask is a task to be run.
type NewTask struct {
	Command   []string `json:"command" minItems:"1" maxItems:"4096" doc:"argv"`
	Name      string   `json:"name,omitempty" maxLength:"255" doc:"absent: the first word of the command"`
	Release   string   `json:"release,omitempty" maxLength:"64" doc:"v3, 3, or an id; absent: the current"`
	MemoryMiB int      `json:"memory_mib,omitempty" minimum:"4" doc:"absent: as web has"`
	DiskMiB   int      `json:"disk_mib,omitempty" minimum:"1" doc:"absent: as web has"`
	Attach    bool     `json:"attach,omitempty" doc:"wait for somebody to attach, and end when they leave"`
	TTY       bool     `json:"tty,omitempty" doc:"with attach: give it a terminal"`
}

// Exec is a further command inside an instance.
type Exec struct {
	Command []string // argv; empty: a shell
	Process string   // "": web
	Index   int      // of the instance
	TTY     bool     // give it a terminal
}

// Tasks lists the app's tasks, newest first.
func (a *InApp) Tasks(ctx context.Context, p Page) (List[Task], error) {
	return list[Task](ctx, a.c, a.path+"/tasks", p.query())
}

// Task returns a task by number or id.
func (a *InApp) Task(ctx context.Context, task string) (t Task, err error) {
	err = a.c.get(ctx, join(a.path+"/tasks", task), nil, &t)
	return t, err
}

// RunTask makes a task. One without Attach starts at once, its output goes to
// the app's log.
func (a *InApp) RunTask(ctx context.Context, in NewTask) (t Task, err error) {
	err = a.c.do(ctx, call{method: http.MethodPost, path: a.path + "/tasks", in: in}, &t)
	return t, err
}

// CancelTask stops a task.
func (a *InApp) CancelTask(ctx context.Context, task string) (t Task, err error) {
	err = a.c.post(ctx, join(a.path+"/tasks", task, "cancel"), nil, &t)
	return t, err
}
