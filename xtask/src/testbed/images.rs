//! The images of the site, without a registry: built once, kept in the cache, loaded into every engine.

use std::fs;
use std::path::{Path, PathBuf};

use super::at_once;
use super::builder::Builder;
use super::docker::{Docker, SLOW};
use super::layout::LABEL;
use super::recipe::{self, BASE_OPTIONS, RECIPE_LABEL, Recipe};
use crate::error::Error;
use crate::program::Program;
use crate::settings::Settings;
use crate::{debian, progress};

/// The base's name while the notebook is built on it.
const BASE_IMAGE: &str = "essaim/base:testbed";

/// An image as it should be.
pub(crate) struct Wanted {
    pub(crate) recipe: Recipe,
    pub(crate) hash: String,
}

/// Both images, as the files of the repository and of this machine make them today.
pub(crate) fn wanted(settings: &Settings) -> Result<Vec<Wanted>, Error> {
    let recipes = [recipe::notebook(settings), recipe::busybox(busybox_binary(&settings.cache)?)];
    recipes.into_iter().map(|recipe| Ok(Wanted { hash: recipe.hash()?, recipe })).collect()
}

/// Brings every image onto every engine; asks only, where all are there already.
pub(crate) fn ensure(settings: &Settings, engines: &[Docker]) -> Result<(), Error> {
    let wanted = wanted(settings)?;
    let lacking = at_once(engines, |engine| Ok((engine.clone(), lacking(engine, &wanted)?)))?;
    if lacking.iter().all(|(_, images)| images.is_empty()) {
        return Ok(());
    }
    build_uncached(settings, &wanted)?;
    progress::say("loading images into the engines");
    at_once(&lacking, |(engine, images)| images.iter().try_for_each(|want| load(settings, engine, want)))?;
    Ok(())
}

/// Brings the images onto one engine that is not ours, and lets that one build them.
pub(crate) fn ensure_on_foreign(settings: &Settings, engine: &Docker) -> Result<(), Error> {
    for want in wanted(settings)? {
        if !has(engine, &want)? {
            build(settings, engine, &want)?;
        }
    }
    Ok(())
}

/// Whether the engine holds the image, made after the recipe as it is today.
pub(crate) fn has(engine: &Docker, want: &Wanted) -> Result<bool, Error> {
    let format = format!("{{{{index .Config.Labels {RECIPE_LABEL:?}}}}}");
    let hash = engine.inspect("image", want.recipe.tag, &format)?;
    Ok(hash.is_some_and(|hash| hash == want.hash))
}

fn lacking<'a>(engine: &Docker, wanted: &'a [Wanted]) -> Result<Vec<&'a Wanted>, Error> {
    let mut lacking = Vec::new();
    for want in wanted {
        if !has(engine, want)? {
            lacking.push(want);
        }
    }
    Ok(lacking)
}

fn load(settings: &Settings, engine: &Docker, want: &Wanted) -> Result<(), Error> {
    let archive = want.recipe.archive(&settings.cache, &want.hash);
    engine.command(["load".as_ref(), "--quiet".as_ref(), "--input".as_ref(), archive.as_os_str()]).limit(SLOW).run()
}

/// Builds what the cache lacks, with an engine of its own that has this machine's network and no Swarm.
fn build_uncached(settings: &Settings, wanted: &[Wanted]) -> Result<(), Error> {
    let archive = |want: &Wanted| want.recipe.archive(&settings.cache, &want.hash);
    let missing: Vec<&Wanted> = wanted.iter().filter(|want| !archive(want).exists()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let builder = Builder::start()?;
    for want in missing {
        build(settings, builder.docker(), want)?;
        // Under another name first: an interrupted `save` must not look like an image.
        let (archive, partial) = (archive(want), archive(want).with_added_extension("partial"));
        let save = ["save".as_ref(), "--output".as_ref(), partial.as_os_str(), want.recipe.tag.as_ref()];
        builder.docker().command(save).limit(SLOW).run()?;
        fs::rename(&partial, &archive).map_err(Error::file("rename", &partial))?;
    }
    Ok(())
}

fn build(settings: &Settings, engine: &Docker, want: &Wanted) -> Result<(), Error> {
    let context = settings.cache.join(format!("context-{}", std::process::id()));
    if context.exists() {
        fs::remove_dir_all(&context).map_err(Error::file("remove", &context))?;
    }
    fs::create_dir_all(&context).map_err(Error::file("create", &context))?;
    want.recipe.fill(&context)?;

    let recipe_label = format!("{RECIPE_LABEL}={}", want.hash);
    let mut build = engine.command(["build", "--quiet", "--network=host", "--force-rm"]);
    build = build.args(["--tag", want.recipe.tag, "--label", LABEL, "--label", &recipe_label]);
    for variable in &settings.build_args {
        build = build.args(["--build-arg", variable]);
    }
    if want.recipe.needs_base {
        import_base(settings, engine)?;
        build = build.args(["--build-arg", &format!("BASE={BASE_IMAGE}")]);
    }
    progress::say(&format!("building {}", want.recipe.tag));
    build.args([&context]).limit(SLOW).run()?;
    fs::remove_dir_all(&context).map_err(Error::file("remove", &context))
}

fn import_base(settings: &Settings, engine: &Docker) -> Result<(), Error> {
    let archive = base(settings)?;
    let change = format!("LABEL {LABEL}");
    engine
        .command(["import".as_ref(), "--change".as_ref(), change.as_ref(), archive.as_os_str(), BASE_IMAGE.as_ref()])
        .limit(SLOW)
        .run()
}

/// A root file system of this machine's own release of Debian, from this machine's own mirrors.
fn base(settings: &Settings) -> Result<PathBuf, Error> {
    let archives = debian::archives()?;
    let lines: Vec<String> =
        archives.iter().map(|archive| format!("deb {} {} main", archive.uri, archive.codename)).collect();
    let archive = recipe::base_archive(&settings.cache, &lines);
    if archive.exists() {
        return Ok(archive);
    }
    progress::say("bootstrapping a Debian base");
    let suite = archives.first().map(|archive| archive.codename.clone()).unwrap_or_default();
    let partial = archive.with_added_extension("partial.tar");
    Program::new("mmdebstrap")
        .args(BASE_OPTIONS)
        .args(["--quiet".as_ref(), suite.as_ref(), partial.as_os_str()])
        .args(&lines)
        .limit(SLOW)
        .run()?;
    fs::rename(&partial, &archive).map_err(Error::file("rename", &partial))?;
    Ok(archive)
}

/// Debian's static busybox, unpacked aside: installing it would replace this machine's own.
fn busybox_binary(cache: &Path) -> Result<PathBuf, Error> {
    let unpacked = cache.join("busybox-static");
    let binary = ["bin/busybox", "usr/bin/busybox"].map(|path| unpacked.join(path));
    if !binary.iter().any(|path| path.is_file()) {
        fs::create_dir_all(cache).map_err(Error::file("create", cache))?;
        debian::unpack("busybox-static", &unpacked)?;
    }
    let [merged_not, merged] = binary;
    Ok(if merged_not.is_file() { merged_not } else { merged })
}
