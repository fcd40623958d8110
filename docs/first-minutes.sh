#!/usr/bin/env bash
# A new user's first minutes, as they go: prints each command and what it prints.
#
#     docs/first-minutes.sh > docs/first-minutes.txt
#
# Works in a temporary folder with an empty home, from wheels of this checkout's last commit: one as it is, and
# one whose template has moved on. Needs the package index; takes a few minutes.
set -euo pipefail
checkout=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-$checkout/.venv/bin/python}
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
unset VIRTUAL_ENV PYTHONPATH
quiet=(-c user.name=you -c user.email=you@localhost -c advice.detachedHead=false)

# -- the wheels -----------------------------------------------------------------------------------
git clone --quiet "$checkout" "$place/source"
wheel() { (cd "$place/source" && git tag "v$1" && "$python" -m hatchling build -t wheel -d "$place/$2" > "$place/log" 2>&1); }
wheel 0.1.0 Downloads
sed -i 's/^version = "0.1.0"/version = "0.2.0"/' "$place/source/pyproject.toml"
sed -i 's#^/runs/#/runs/\n*.log#' "$place/source/template/.gitignore"
git -C "$place/source" "${quiet[@]}" commit --quiet --all --message "Logs are not committed"
wheel 0.2.0 Downloads

# -- the user -------------------------------------------------------------------------------------
mkdir "$place/home"
cd "$place/home"
mv ../Downloads .
export HOME=$PWD PATH=$(dirname "$("$python" -c 'import sys; print(sys._base_executable)')"):/usr/bin:/bin
export PIP_DISABLE_PIP_VERSION_CHECK=1 GIT_AUTHOR_NAME=you GIT_AUTHOR_EMAIL=you@localhost COLUMNS=100
export GIT_COMMITTER_NAME=$GIT_AUTHOR_NAME GIT_COMMITTER_EMAIL=$GIT_AUTHOR_EMAIL
exec > >(sed -u "s#$HOME#~#g") 2>&1
try() { printf '\n$ %s\n' "$1"; eval "$1" || printf '(exit code %s)\n' "$?"; }

try 'python3 -m venv tool && . tool/bin/activate && pip install --quiet Downloads/scythe_gen-0.1.0-py3-none-any.whl'
try 'scythe-gen --help'
try 'cat > io.yaml << END
input:
  r_value: {type: number, minimum: 0.5, maximum: 15, x-unit: m^2 K/W}
  area: {type: number, minimun: 20, maximum: 400, x-unit: m2}
output:
  heat: {type: number, x-unit: W/K}
END'
try 'scythe-gen validate io.yaml'
try 'sed -i "s/minimun/minimum/; s/m2/m^2/" io.yaml'
try 'scythe-gen new office --schema io.yaml'
try 'deactivate; cd office && python3 -m venv .venv && . .venv/bin/activate && pip install --quiet -e . pytest mypy'
try 'ls -A'
try 'cat office/task.py'
try 'scythe run -n 1'
try 'sed -i "/raise TaskNotWritten/,/^    )/d" office/task.py && echo "    return Output(heat=input_spec.area / input_spec.r_value)" >> office/task.py'
try 'scythe run -n 1'
try 'pytest -q'
try 'python allocate.py --n 1000'
try 'git add --all && git commit --quiet --message "The task"'

try '# one more input'
try 'sed -i "s#^output:#  losses: {type: number, minimum: 0, maximum: 30, x-unit: W/K}\noutput:#" io.yaml && cat io.yaml'
try 'scythe-gen check'
try 'scythe-gen generate'
try 'sed -i "s#input_spec.r_value)#input_spec.r_value + input_spec.losses)#" office/task.py'
try 'python allocate.py --n 1000'
try 'git add --all && git commit --quiet --message "Losses"'

try '# a newer scythe-gen'
try 'pip install --quiet ../Downloads/scythe_gen-0.2.0-py3-none-any.whl'
try 'scythe-gen update'
try 'git diff .gitignore pyproject.toml'
try 'pip install --quiet -e . && scythe-gen check && pytest -q && scythe runs'
exec >&- 2>&-  # both, else sed waits for more
wait
