# Two commands matter: `make book` and `make test`. Everything else is for those who write the course.
PYTHON ?= python3
PORT   ?= 8000
CLASS  ?= assignments
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
JB     := $(BIN)/jupyter-book
NBGRADER := $(BIN)/python -c 'import latex2mathml, nbgrader' 2>/dev/null || $(BIN)/python -m pip install --quiet -e '.[classroom]'

.DEFAULT_GOAL := help
.PHONY: help install book serve test lint coverage notebooks lab assignments grade formgrader feedback clean teacher-book bench

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "make: Python 3.11 or later is needed, $(PYTHON) is $$($(PYTHON) --version 2>&1); try make PYTHON=python3.12"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -r requirements.txt
	@touch $(READY)

install: $(READY)  ## create .venv and install everything into it

book: $(READY)  ## build the book from clean; a warning is an error
	@rm -rf _build/html _build/.doctrees
	$(JB) build . --nitpick --warningiserror --keep-going --quiet
	@echo
	@echo "The book is built: _build/html/index.html"
	@echo "Open that file, or run 'make serve' and open http://127.0.0.1:$(PORT)/"

serve:  ## serve the built book on 127.0.0.1 (PORT=8000)
	@test -f _build/html/index.html || { echo "make: nothing is built yet; run 'make book' first"; exit 1; }
	@echo "The book is at http://127.0.0.1:$(PORT)/  (stop with Ctrl-C)"
	@$(PYTHON) -m http.server --bind 127.0.0.1 --directory _build/html $(PORT)

test: $(READY)  ## run every test: units, doctests, gradient checks, notebooks, built pages
	$(BIN)/python -m pytest -n auto --dist loadfile $(TESTFLAGS)

lint: $(READY)  ## ruff and mypy --strict
	$(BIN)/python -m pip install --quiet -e '.[lint]'
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

NOT_OF_NNLIB := $(addprefix --ignore tests/,browser $(addsuffix .py,test_assignments test_classroom test_recipes test_teacher_book test_teaching))
coverage: $(READY)  ## branch coverage of nnlib, which must be 100 %
	$(BIN)/python -m pytest tests nnlib $(NOT_OF_NNLIB) -q -n auto --cov=nnlib --cov-branch --cov-fail-under=100

bench: $(READY)  ## time nnlib next to its peers, about an hour (WORKLOADS="W1 W4" for some)
	$(BIN)/python -m pip install --quiet -e '.[bench]'
	$(BIN)/python benchmarks/run.py $(WORKLOADS)
	$(BIN)/python benchmarks/parts.py > benchmarks/parts.md
	OPENBLAS_NUM_THREADS=2 $(BIN)/python benchmarks/parts.py W1 W2 W3 >> benchmarks/parts.md
	$(BIN)/python benchmarks/report.py --plot benchmarks/benchmarks.svg > benchmarks/results.md

teacher-book: $(READY)  ## build the answer key: solutions, hidden tests, rubrics, keys; not for students
	@rm -rf _build/teacher
	$(BIN)/python assignments/teacher-book/stage.py _build/teacher/source
	$(JB) build _build/teacher/source --nitpick --warningiserror --keep-going --quiet > /dev/null
	@mv _build/teacher/source/_build/html _build/teacher/html
	@echo
	@echo "The answer key is built: _build/teacher/html/index.html"
	@echo "Open that file. Do not publish the folder _build/teacher."

notebooks: $(READY)  ## execute all notebooks in place
	$(BIN)/python notebooks/execute.py

lab: $(READY)  ## open JupyterLab on the notebooks
	$(BIN)/jupyter lab notebooks

assignments: $(READY)  ## write the students' version of the problem sets (assignments/release)
	@$(NBGRADER)
	$(BIN)/python assignments/classroom.py release $(SET)

grade: $(READY)  ## grade the submissions of a class (SET=ps1 CLASS=folder)
	@$(NBGRADER)
	$(BIN)/python assignments/classroom.py grade $(SET) --class $(CLASS)

formgrader: $(READY)  ## grade the written answers of a class by hand, in JupyterLab (CLASS=folder)
	@$(NBGRADER)
	cd assignments && CLASSROOM_ROOT=$(abspath $(CLASS)) $(abspath $(BIN))/jupyter lab --ServerApp.root_dir=$(abspath $(CLASS))

feedback: $(READY)  ## after grading by hand: feedback and tables again (SET=ps1 CLASS=folder)
	@$(NBGRADER)
	$(BIN)/python assignments/classroom.py feedback $(SET) --class $(CLASS)

clean:  ## remove what was built, keep .venv
	rm -rf _build .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage runs
