"""nbgrader for everyone on the hub: goes to etc/jupyter/ of the environment that the hub runs in."""

c = get_config()  # type: ignore[name-defined]  # noqa: F821  nbgrader defines it

c.CourseDirectory.course_id = "backpropagation"  # as in classroom.toml
c.Exchange.root = "/srv/nbgrader/exchange"  # released and submitted problem sets
