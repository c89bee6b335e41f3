// SPDX-License-Identifier: BSD-2-Clause
// A "check" that finds nothing: loaded into clang-tidy, it keeps the others from walking through
// what system headers declare, of which clang-tidy would not report anything. That walk, and not
// our code, takes most of their time.
#include <clang-tidy/ClangTidyCheck.h>
#include <clang-tidy/ClangTidyModule.h>
#include <clang-tidy/ClangTidyModuleRegistry.h>
#include <clang/AST/ASTContext.h>
#include <clang/ASTMatchers/ASTMatchFinder.h>
#include <clang/Basic/SourceManager.h>

#include <vector>

namespace {

class OwnCode : public clang::tidy::ClangTidyCheck {
 public:
  using ClangTidyCheck::ClangTidyCheck;

  // The translation unit is matched before anything in it, and its children are looked up after
  // that.
  void registerMatchers(clang::ast_matchers::MatchFinder* finder) override {
    finder->addMatcher(clang::ast_matchers::translationUnitDecl(), this);
  }

  void check(const clang::ast_matchers::MatchFinder::MatchResult& result) override {
    std::vector<clang::Decl*> own;
    // noload: nothing of precompiled headers, in which there is nothing of ours.
    for (clang::Decl* declaration : result.Context->getTranslationUnitDecl()->noload_decls()) {
      const clang::SourceLocation place = declaration->getLocation();
      if (place.isValid() && !result.SourceManager->isInSystemHeader(place)) {
        own.push_back(declaration);
      }
    }
    result.Context->setTraversalScope(own);
  }
};

class Module : public clang::tidy::ClangTidyModule {
 public:
  void addCheckFactories(clang::tidy::ClangTidyCheckFactories& factories) override {
    factories.registerCheck<OwnCode>("tfo-own-code");
  }
};

const clang::tidy::ClangTidyModuleRegistry::Add<Module> kModule("tfo", "walks over own code only");

}  // namespace
