package cf

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/client"
	"naru/internal/pipeline/task"
	"naru/internal/release"
)

func taskRoutes() []endpoint {
	return []endpoint{
		{pattern: "GET /v3/tasks", do: (*Door).listTasks},
		{pattern: "GET /v3/tasks/{guid}", do: (*Door).getTask},
		{pattern: "PUT /v3/tasks/{guid}/cancel", do: (*Door).cancelTask},
		{pattern: "POST /v3/tasks/{guid}/actions/cancel", do: (*Door).cancelTask},
		{pattern: "GET /v3/apps/{guid}/tasks", do: (*Door).listTasks},
		{pattern: "POST /v3/apps/{guid}/tasks", do: (*Door).runTask},
	}
}

// shownTask is a task with where its app is.
type shownTask struct {
	task.Task
	org   app.OrgID
	space app.SpaceID
}

// taskStates are naru's in Cloud Foundry's words.
var taskStates = map[task.State]string{
	task.Pending: "PENDING", task.Running: "RUNNING", task.Succeeded: "SUCCEEDED", task.Failed: "FAILED", task.Canceled: "FAILED",
}

var taskList = list[shownTask]{
	filters: map[string]func(shownTask) []string{
		"names":              single(func(t shownTask) string { return t.Name }),
		"states":             single(func(t shownTask) string { return taskStates[t.State] }),
		"app_guids":          single(func(t shownTask) string { return string(t.App) }),
		"space_guids":        single(func(t shownTask) string { return string(t.space) }),
		"organization_guids": single(func(t shownTask) string { return string(t.org) }),
		"sequence_ids":       single(func(t shownTask) string { return strconv.Itoa(t.Number) }),
	},
	times: func(t shownTask) (time.Time, time.Time) { return t.Created, t.changed() },
	guid:  func(t shownTask) string { return string(t.ID) },
}

func (t shownTask) changed() time.Time {
	switch {
	case !t.Ended.IsZero():
		return t.Ended
	case !t.Started.IsZero():
		return t.Started
	}
	return t.Created
}

type taskResource struct {
	resource
	Sequence      int              `json:"sequence_id"`
	Name          string           `json:"name"`
	Command       string           `json:"command,omitempty"`
	State         string           `json:"state"`
	MemoryMiB     int              `json:"memory_in_mb"`
	DiskMiB       int              `json:"disk_in_mb"`
	LogRate       int              `json:"log_rate_limit_in_bytes_per_second"`
	Result        map[string]any   `json:"result"`
	Relationships map[string]toOne `json:"relationships"`
}

// sized fills in what tasks that said nothing of it may take: what the web process of
// their release may, else that of its first one.
func (d *Door) sized(c *call, all []shownTask) error {
	releases := map[release.ID]bool{}
	for _, t := range all {
		if t.MemoryMiB == 0 || t.DiskMiB == 0 {
			releases[t.Release] = true
		}
	}
	if len(releases) == 0 {
		return nil
	}
	of, err := d.Releases.ProcessesOf(c.ctx(), slices.Collect(maps.Keys(releases))...)
	for i, t := range all {
		if processes := of[t.Release]; len(processes) > 0 {
			p := processes[max(0, slices.IndexFunc(processes, func(p app.Process) bool { return p.Type == app.Web }))]
			all[i].MemoryMiB, all[i].DiskMiB = cmp.Or(t.MemoryMiB, p.MemoryMiB), cmp.Or(t.DiskMiB, p.DiskMiB)
		}
	}
	return err
}

// sendTask answers with a task.
func (c *call) sendTask(status int, t shownTask) error {
	one := []shownTask{t}
	if err := c.door.sized(c, one); err != nil {
		return err
	}
	out := c.taskResource(one[0])
	if status == http.StatusAccepted && t.State == task.Canceled {
		out.State = "CANCELING"
	}
	c.send(status, out)
	return nil
}

// taskResource shows a task; its command to those who may run one.
func (c *call) taskResource(t shownTask) taskResource {
	path := "/v3/tasks/" + string(t.ID)
	r := c.thing(string(t.ID), t.Created, t.changed(), path).with(c, "app", "/v3/apps/"+string(t.App))
	r.Links["cancel"] = link{c.at.api + path + "/actions/cancel", "POST"}
	out := taskResource{
		resource: r, Sequence: t.Number, Name: t.Name, State: taskStates[t.State], MemoryMiB: t.MemoryMiB, DiskMiB: t.DiskMiB, LogRate: -1,
		Result: map[string]any{"failure_reason": nil}, Relationships: map[string]toOne{"app": one(string(t.App))},
	}
	switch {
	case t.State == task.Canceled:
		out.Result["failure_reason"] = "task was cancelled"
	case t.State == task.Failed:
		out.Result["failure_reason"] = cmp.Or(t.Reason, "exited with "+strconv.Itoa(t.ExitCode))
	}
	if auth.Can(c.who, auth.AppExec, t.org, t.space) {
		if line := commandLine(t.Command); line != nil {
			out.Command = *line
		}
	}
	return out
}

func (d *Door) listTasks(c *call) error {
	apps, spaces, err := d.about(c)
	if err != nil {
		return err
	}
	var all []shownTask
	for _, a := range apps {
		for before := 0; ; {
			some, err := d.Tasks.TasksBefore(c.ctx(), a.ID, before, batch)
			if err != nil {
				return err
			}
			all = append(all, each(some, func(t task.Task) shownTask { return shownTask{t, spaces[a.Space].Org, a.Space} })...)
			if len(some) < batch {
				break
			}
			before = some[len(some)-1].Number
		}
	}
	if err := d.sized(c, all); err != nil {
		return err
	}
	return show(c, taskList, all, c.taskResource)
}

// task finds a task with which who asks may do something.
func (d *Door) task(c *call, do auth.Action) (shownTask, error) {
	t, err := d.Tasks.Task(c.ctx(), task.ID(c.guid()))
	if err != nil {
		return shownTask{}, gone(err, "Task")
	}
	a, err := d.app(c, string(t.App), do)
	if err == error(missing("App")) {
		return shownTask{}, missing("Task")
	}
	if err != nil {
		return shownTask{}, err
	}
	p, err := d.placeOf(c.ctx(), a.Space)
	return shownTask{t, p.org.ID, p.space.ID}, err
}

func (d *Door) getTask(c *call) error {
	t, err := d.task(c, auth.SpaceRead)
	if err != nil {
		return err
	}
	return c.sendTask(http.StatusOK, t)
}

func (d *Door) cancelTask(c *call) error {
	t, err := d.task(c, auth.AppOperate)
	if err != nil {
		return err
	}
	if t.State.Ended() {
		return unprocessable.saying("Task state is " + taskStates[t.State] + " and therefore cannot be canceled")
	}
	if t.Task, err = d.Runner.CancelTask(c.ctx(), c.by(), t.ID); err != nil {
		return err
	}
	return c.sendTask(http.StatusAccepted, t)
}

func (d *Door) runTask(c *call) error {
	a, err := d.app(c, c.guid(), auth.AppExec)
	if err != nil {
		return err
	}
	var in struct {
		Command  string `json:"command"`
		Name     string `json:"name"`
		Memory   *int   `json:"memory_in_mb"`
		Disk     *int   `json:"disk_in_mb"`
		LogRate  *int   `json:"log_rate_limit_in_bytes_per_second"`
		Template struct {
			Process ref `json:"process"`
		} `json:"template"`
	}
	if err := c.decode(&in); err != nil {
		return err
	}
	if in.LogRate != nil && *in.LogRate != -1 {
		return unprocessable.saying("naru limits logs for all apps alike (logs.rate), not task by task")
	}
	want := client.NewTask{Name: in.Name}
	set(&want.MemoryMiB, in.Memory)
	set(&want.DiskMiB, in.Disk)
	if want.Command = app.Shell(in.Command); strings.TrimSpace(in.Command) == "" {
		if want.Command, err = d.template(c, a, in.Template.Process.GUID); err != nil {
			return err
		}
	}
	if a.Image == "" {
		return unprocessable.saying("Task must have a droplet. Specify droplet or assign current droplet to app.")
	}
	want.Name = cmp.Or(want.Name, strings.Fields(in.Command + " task")[0])
	t, err := d.Runner.RunTask(c.ctx(), c.by(), a.ID, want)
	if err != nil {
		return err
	}
	p, err := d.placeOf(c.ctx(), a.Space)
	if err != nil {
		return err
	}
	return c.sendTask(http.StatusAccepted, shownTask{t, p.org.ID, p.space.ID})
}

// template is the command of a process of an app.
func (d *Door) template(c *call, a app.App, guid string) ([]string, error) {
	id, kind := processOf(guid)
	v, err := d.look(c.ctx(), a)
	if err != nil {
		return nil, err
	}
	for _, p := range v.processes(a) {
		if id == string(a.ID) && p.Type == kind && len(p.Command) > 0 {
			return p.Command, nil
		}
	}
	return nil, unprocessable.saying("Must provide a command or a template with a process of the app that has one")
}
