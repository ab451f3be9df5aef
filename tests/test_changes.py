"""Guard rails: ordinary changes of a project pass its checks, bad ones do not."""

import pytest

from tests.bakery import Project, run

# An app as Django's documentation has it and a team fills it.
FILES = {
    "__init__.py": "",
    "apps.py": '''"""The app of the items."""

from django.apps import AppConfig


class ItemsConfig(AppConfig):
    name = "apps.items"
''',
    "models.py": '''"""What is for sale."""

from django.db import models


class Shelf(models.Model):
    name = models.CharField(max_length=50)

    def __str__(self) -> str:
        return self.name


class Item(models.Model):
    name = models.CharField(max_length=50)
    shelf = models.ForeignKey(Shelf, on_delete=models.CASCADE)
    code = models.CharField(max_length=9)

    class Meta:
        ordering = ["name"]
        indexes = [models.Index(fields=["name", "shelf"])]

    def __str__(self) -> str:
        return self.name
''',
    "admin.py": '''"""The items in the admin."""

from django.contrib import admin

from apps.items.models import Item, Shelf


class ItemInline(admin.TabularInline[Item, Shelf]):
    model = Item


@admin.register(Shelf)
class ShelfAdmin(admin.ModelAdmin):
    list_display = ["name"]
    inlines = [ItemInline]


@admin.register(Item)
class ItemAdmin(admin.ModelAdmin[Item]):
    list_display = ["name", "shelf"]
    list_filter = ["shelf"]
''',
    "forms.py": '''"""The forms of the items."""

from django import forms

from apps.items.models import Item, Shelf


class ItemForm(forms.ModelForm[Item]):
    class Meta:
        model = Item
        fields = ["name", "shelf"]


class ShelfForm(forms.ModelForm):
    class Meta:
        model = Shelf
        fields = ["name"]
''',
    "views.py": '''"""The pages of the items."""

from django.views.generic import CreateView, DetailView, ListView

from apps.items.forms import ItemForm
from apps.items.models import Item


class ItemList(ListView):
    model = Item


class ItemDetail(DetailView[Item]):
    model = Item


class ItemCreate(CreateView[Item, ItemForm]):
    model = Item
    form_class = ItemForm
''',
    "urls.py": '''"""The URLs of the items."""

from django.urls import include, path
from rest_framework.routers import DefaultRouter
from rest_framework.viewsets import ReadOnlyModelViewSet

from apps.items import views
from apps.items.models import Item
from apps.items.serializers import ItemSerializer


class ItemViewSet(ReadOnlyModelViewSet[Item]):
    queryset = Item.objects.all()
    serializer_class = ItemSerializer


router = DefaultRouter()
router.register("items", ItemViewSet)

urlpatterns = [
    path("", views.ItemList.as_view()),
    path("<int:pk>/", views.ItemDetail.as_view()),
    path("api/", include(router.urls)),
]
''',
    "serializers.py": '''"""The items in the API."""

from rest_framework.serializers import ModelSerializer

from apps.items.models import Item


class ItemSerializer(ModelSerializer[Item]):
    class Meta:
        model = Item
        fields = ["id", "name"]
''',
    "templates/items/item_list.html": """{# All items. #}
{% extends "base.html" %}
{% block content %}
  <ul>
    {% for item in object_list %}
      <li>{{ item }}</li>
    {% endfor %}
  </ul>
{% endblock content %}
""",
    "tests.py": '''"""Tests in one file beside the code."""

import pytest
from django.contrib.auth import authenticate
from django.test import AsyncClient, Client

from apps.items.forms import ItemForm, ShelfForm
from apps.items.models import Item, Shelf
from apps.users.models import User

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"


def test_the_list_shows_items(client: Client) -> None:
    shelf = Shelf.objects.create(name="Books")
    Item.objects.create(name="Atlas", shelf=shelf)
    assert b"Atlas" in client.get("/items/").content
    assert [str(item) for item in Item.objects.all()] == ["Atlas"]
    assert str(shelf) == "Books"
    assert set(ItemForm().fields) == {"name", "shelf"}
    assert set(ShelfForm().fields) == {"name"}


def test_people_log_in(client: Client) -> None:
    User.objects.create_superuser("ada", password=PASSWORD)
    assert client.login(username="ada", password=PASSWORD)
    assert authenticate(username="ada", password=PASSWORD)
    assert client.get("/admin/items/shelf/add/").status_code == 200


async def test_the_list_opens_on_the_loop(async_client: AsyncClient) -> None:
    shelf = await Shelf.objects.acreate(name="Maps")
    await Item.objects.acreate(name="Globe", shelf=shelf)
    response = await async_client.get("/items/")
    assert b"Globe" in response.content
''',
}
# A change of a table that exists. The running release survives it.
SAFE = (
    "max_length=50)\n    shelf",
    """max_length=200)
    size = models.CharField(max_length=9, db_default="")
    is_sold = models.BooleanField(db_default=False)
    weight_g = models.PositiveIntegerField(null=True)
    shelf""",
)
# Changes that it does not survive: an INSERT without the column, a SELECT with it.
NEW = ("    class Meta:", '    note = models.TextField(default="")\n\n    class Meta:')
DROPPED = ("    code = models.CharField(max_length=9)\n", "")
# The file, the text that is replaced, the new text, what `just lint` says about it.
REFUSED = {
    "breakpoint": (
        "views.py",
        "    form_class",
        "    breakpoint()\n    form_class",
        "T100",
    ),
    "print": (
        "views.py",
        "    form_class",
        '    print("here")\n    form_class',
        "T201",
    ),
    "secret": (
        "views.py",
        "\n\nclass ItemList",
        '\npassword = "f3b1c0ffee5e"\n\n\nclass ItemList',
        "S105",
    ),
    "import order": (
        "forms.py",
        "from django import forms\n\nfrom apps.items.models import Item, Shelf\n",
        "from apps.items.models import Item, Shelf\n\nfrom django import forms\n",
        "I001",
    ),
    "untyped function": (
        "forms.py",
        "\n\nclass ItemForm",
        "\n\ndef twice(number):\n    return 2 * number\n\n\nclass ItemForm",
        "no-untyped-def",
    ),
    "unformatted template": (
        "templates/items/item_list.html",
        "  <ul>",
        "<ul>",
        "item_list.html",
    ),
    "inline style": (
        "templates/items/item_list.html",
        "<ul>",
        '<ul style="color: red">',
        "H021",
    ),
    "missing migration": (
        "models.py",
        "name = models.CharField(max_length=50)\n    shelf",
        "name = models.CharField(max_length=60)\n    shelf",
        "Alter field name on item",
    ),
}
SERVERS = {"postgresql": "postgresql", "mysql": "mariadb"}
PROJECTS = [
    pytest.param(
        {"database": database, "api": "drf"},
        id=database,
        marks=pytest.mark.xdist_group(f"changes {database}"),
    )
    for database in ("postgresql", "mysql", "sqlite")
]
every_database = pytest.mark.parametrize(
    "project", PROJECTS, indirect=True, scope="module"
)
one_project = pytest.mark.parametrize(
    "project", PROJECTS[:1], indirect=True, scope="module"
)


@pytest.fixture(scope="module")
def project(request, tmp_path_factory) -> Project:
    """Bake a project and give it an app with a first migration."""
    project = Project.bake(tmp_path_factory.mktemp("changes"), **request.param)
    project.sync()
    app = project.path / "apps" / "items"
    for name, text in FILES.items():
        (app / name).parent.mkdir(parents=True, exist_ok=True)
        (app / name).write_text(text)
    pages = '    "apps.pages",\n'
    project.replace("config/settings/base.py", pages, f'    "apps.items",\n{pages}')
    items = '    path("items/", include("apps.items.urls")),\n'
    pages = items.replace("items", "pages").replace('"pages/"', '""')
    project.replace("config/urls.py", pages, pages + items)
    project.manage("makemigrations", "items")
    run("git", "add", "--all", cwd=project.path)
    return project


@pytest.fixture
def change(project, tmp_path):
    """Return a function that changes one file of the app, in a copy of the project."""
    copy = project.copy(tmp_path)

    def change(path: str, old: str, new: str) -> Project:
        copy.replace(f"apps/items/{path}", old, new)
        return copy

    return change


@pytest.fixture
def env(project, services) -> dict[str, str]:
    """Return DATABASE_URL for a new database of the kind that the project uses."""
    if server := SERVERS.get(project.answers["database"]):
        return {"DATABASE_URL": getattr(services, server).create_database()}
    return {}


@every_database
def test_ordinary_changes_pass(change, env):
    changed = change("models.py", *SAFE)
    changed.manage("makemigrations", "items", "--name", "safe")
    just(changed, "check", env=env)
    # Without a file or a folder its tests are among those that ran.
    names = just(changed, "test", "--collect-only", "--quiet", env=env)
    assert "apps/items/tests.py::test_people_log_in" in names
    log_in = ("apps/items/tests.py", "-k", "log_in", "--sql")
    assert "users_user" in just(changed, "test", *log_in, env=env)


@every_database
@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [(*NEW, "use db_default"), (*DROPPED, "DROPPING columns")],
    ids=["new", "dropped"],
)
def test_a_migration_that_breaks_the_running_release_fails(
    change, env, old, new, problem
):
    changed = change("models.py", old, new)
    changed.manage("makemigrations", "items", "--name", "unsafe")
    command = "lint-migrations"
    if not env and old == NEW[0]:
        command = "test"
    assert problem in just(changed, command, env=env, check=False)


@one_project
def test_without_a_server_migrations_are_left_to_ci(project):
    assert "CI will lint the migrations" in just(project, "lint-migrations", env={})


@one_project
@pytest.mark.parametrize(
    ("path", "old", "new", "problem"), REFUSED.values(), ids=REFUSED
)
def test_a_bad_change_fails(change, path, old, new, problem):
    changed = change(path, old, new)
    assert problem in just(changed, "lint", env={}, check=False)


@one_project
def test_format_reaches_all_and_leaves_what_nobody_can_mend(change):
    template = "templates/items/item_list.html"
    change(template, "  <ul>", "<ul>")
    changed = change("views.py", *REFUSED["print"][1:3])
    assert "T201" in just(changed, "format", env={})
    assert (changed.path / "apps" / "items" / template).read_text() == FILES[template]


def just(
    project: Project, *arguments: str, env: dict[str, str], check: bool = True
) -> str:
    command = (project.path / ".venv" / "bin" / "just", *arguments)
    result = run(*command, cwd=project.path, env=env, check=check)
    assert check or result.returncode
    return result.stdout + result.stderr
