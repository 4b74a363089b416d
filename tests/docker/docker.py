#!/usr/bin/python3
"""Keeps docker/ honest without a Docker engine: parses the Dockerfile and the
compose file and checks that what they name exists.

docker.py ROOT PROGRAM   (PROGRAM: a built tailfin, for the libraries it links)
"""
import os
import re
import shlex
import subprocess
import sys

import yaml

ROOT, PROGRAM = sys.argv[1], sys.argv[2]
failures = []


def check(ok, text):
    if not ok:
        failures.append(text)


def read(path):
    with open(os.path.join(ROOT, path), encoding='utf-8') as f:
        return f.read()


def instructions(text):
    """(word, rest) of each instruction, continued lines joined, comments left out."""
    lines = [l for l in text.splitlines() if not l.lstrip().startswith('#')]
    joined = re.sub(r'\\\n', ' ', '\n'.join(lines))
    return [tuple(l.split(None, 1)) for l in joined.splitlines() if l.strip()]


def packages(run):
    """The packages of an apt-get install in a RUN line."""
    m = re.search(r'apt-get install (.*?)(&&|$)', run)
    return [w for w in shlex.split(m.group(1)) if not w.startswith('-')] if m else []


def options():
    return {m.upper().replace('-', '_') for m in re.findall(r'OPTION\(\w+, "([^"]+)"', read('app/options.def'))}


def check_env(names, where):
    known = options()
    for name in names:
        if name.startswith('TAILFIN_'):
            check(name[len('TAILFIN_'):] in known, f'{where}: {name} is no option of the program')


def stages(steps):
    result = []
    for word, rest in steps:
        if word == 'FROM':
            result.append([])
        result[-1].append((word, rest))
    return result


def check_copies(steps):
    for word, rest in steps:
        if word != 'COPY' or '--from=' in rest:
            continue
        for source in rest.split()[:-1]:
            check(os.path.exists(os.path.join(ROOT, source)), f'Dockerfile: COPY {source}: no such file')


def check_targets(build):
    run = ' '.join(rest for word, rest in build if word == 'RUN')
    cmake = read('CMakeLists.txt') + read('bench/CMakeLists.txt')
    m = re.search(r'--target ([\w\- ]+)', run)
    check(m, 'Dockerfile: builds no target')
    for target in m.group(1).split() if m else []:
        check(re.search(rf'\({re.escape(target)}\b', cmake), f'Dockerfile: no CMake target {target}')


def check_build_packages(build):
    known = set(re.findall(r'[\w.+\-]+', read('scripts/deps.sh')))
    for word, rest in build:
        for p in packages(rest) if word == 'RUN' else []:
            check(p in known, f'Dockerfile: {p} is not installed by scripts/deps.sh: is it needed?')


def libraries(program):
    """The packages of the shared libraries that a program names itself."""
    out = subprocess.run(['objdump', '-p', program], capture_output=True, text=True, check=True).stdout
    needed = set(re.findall(r'NEEDED\s+(\S+)', out))
    paths = dict(re.findall(r'(\S+) => (/\S+)', subprocess.run(['ldd', program], capture_output=True,
                                                              text=True, check=True).stdout))
    for name in needed:
        path = os.path.realpath(paths[name]) if name in paths else None
        for candidate in filter(None, [path, path and path.replace('/usr/lib/', '/lib/'), paths.get(name)]):
            found = subprocess.run(['dpkg', '-S', candidate], capture_output=True, text=True)
            if found.returncode == 0:
                yield found.stdout.split(':')[0]
                break


def check_dockerfile():
    steps = instructions(read('docker/Dockerfile'))
    parts = stages(steps)
    check(len(parts) == 2, 'Dockerfile: two stages are expected')
    check_copies(steps)
    check_targets(parts[0])
    check_build_packages(parts[0])
    installed = {p for word, rest in parts[-1] if word == 'RUN' for p in packages(rest)}
    found = set(libraries(PROGRAM)) - {'libc6', 'libgcc-s1', 'libasan8', 'libubsan1'}
    check(found, f'{PROGRAM}: its libraries could not be told')
    for p in sorted(found):
        check(p in installed, f'Dockerfile: the program needs {p}, the image has it not')
    check_env(re.findall(r'(TAILFIN_\w+)=', ' '.join(rest for word, rest in steps if word == 'ENV')), 'Dockerfile')


def check_compose():
    compose = yaml.safe_load(read('docker/compose.yaml'))
    services = compose['services']
    for name in ('mongodb', 'tailfin', 'seed', 'typesense'):
        check(name in services, f'compose: no service {name}')
    check(services.get('typesense', {}).get('profiles'), 'compose: typesense must be behind a profile')
    for name, service in services.items():
        build = service.get('build')
        if build:
            context = os.path.normpath(os.path.join(ROOT, 'docker', build['context']))
            check(os.path.isfile(os.path.join(context, build['dockerfile'])), f'compose: {name}: no {build["dockerfile"]}')
        for other in service.get('depends_on', {}):
            check(other in services, f'compose: {name} depends on {other}, which is none')
        for volume in service.get('volumes', []):
            check(volume.split(':')[0] in compose['volumes'], f'compose: {name}: volume {volume} is not declared')
        check_env(service.get('environment', {}), f'compose: {name}')
    check('replSet' in str(services['mongodb']['command']) and 'rs.initiate' in str(services['mongodb']['healthcheck']),
          'compose: MongoDB must be an initiated replica set')
    commands = set(re.findall(r'^\s+\{"(\w+)", ', read('app/main.c'), re.M))
    check(services['tailfin']['command'][0] in commands, 'compose: no such subcommand')


check_dockerfile()
check_compose()
for f in failures:
    print(f)
print(f'{"FAILED" if failures else "ok"}: docker/')
sys.exit(bool(failures))
